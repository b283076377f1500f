"""P-tuning's encoder begins where a step of it moves the vectors, each in its own direction and by a little."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from peft import PromptEncoderConfig, PromptEncoderReparameterizationType
from peft.tuners import PromptEncoder
from torch import Tensor

from customspec_tuning.ml.soft_prompts import steer

COUNT, WIDTH = 20, 64
KINDS = list(PromptEncoderReparameterizationType)


def steered(kind: PromptEncoderReparameterizationType, vectors: Tensor) -> Any:
    config: Any = PromptEncoderConfig(
        num_virtual_tokens=len(vectors),
        encoder_reparameterization_type=kind,
        encoder_hidden_size=64,
        token_dim=WIDTH,
        num_transformer_submodules=1,
    )
    encoder = PromptEncoder(config)
    steer(encoder, vectors)
    return encoder


def made(encoder: Any, count: int = COUNT) -> Tensor:
    return cast(Tensor, encoder(torch.arange(count)[None])[0])


def moved(encoder: Any, way: Tensor, steps: int = 10) -> Tensor:
    """How the vectors have changed after steps against the direction `way`."""
    before, adam = made(encoder).detach(), torch.optim.Adam(encoder.parameters(), lr=3e-5)
    for _ in range(steps):
        adam.zero_grad()
        (made(encoder) * way).sum().backward()
        adam.step()
    return made(encoder).detach() - before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, COUNT])
def test_the_encoder_begins_at_the_vectors(kind: PromptEncoderReparameterizationType, count: int) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(count, WIDTH) * 0.1
    assert torch.allclose(made(steered(kind, vectors), count), vectors, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_vectors_are_a_beginning_too(kind: PromptEncoderReparameterizationType) -> None:
    torch.manual_seed(0)
    vectors = torch.full((COUNT, WIDTH), 0.1)
    assert torch.allclose(made(steered(kind, vectors)), vectors, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_moves_small_and_large_embeddings_by_about_the_same_share(
    kind: PromptEncoderReparameterizationType,
) -> None:
    torch.manual_seed(0)
    vectors, way = torch.randn(COUNT, WIDTH), torch.randn(COUNT, WIDTH)
    shares = []
    for scale in (0.02, 0.2):
        torch.manual_seed(1)
        shares.append(float(moved(steered(kind, vectors * scale), way).abs().mean()) / scale)
    assert max(shares) < 2 * min(shares)
    assert max(shares) < 2  # standard deviations, after ten steps


@pytest.mark.parametrize("kind", KINDS)
def test_each_vector_goes_its_own_way(kind: PromptEncoderReparameterizationType) -> None:
    torch.manual_seed(0)
    vectors, way = torch.randn(COUNT, WIDTH) * 0.1, torch.randn(COUNT, WIDTH)
    change = moved(steered(kind, vectors), way)
    assert float(torch.cosine_similarity(-change, way, dim=1).mean()) > 0.5
