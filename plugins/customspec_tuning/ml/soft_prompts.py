"""Where learned prompts begin: set to given vectors, to a text's keys and values, or steered there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.cartridge.utils import initialize_kv_prefix_from_past_key_values
from torch import Tensor, nn

from customspec.ml.batching import bare


def embeddings_of(model: nn.Module, pieces: Sequence[Sequence[int]]) -> Tensor:
    """(pieces, width) float32: each piece's token embeddings, averaged (Lester et al. 2021, for class labels)."""
    embed = cast(nn.Embedding, bare(model).get_input_embeddings())  # called, not looked up: Gemma scales what it finds
    with torch.no_grad():
        found = [embed(torch.tensor(list(piece), device=embed.weight.device)).float().mean(0) for piece in pieces]
    return torch.stack(found)


@torch.no_grad()
def set_prompt(model: nn.Module, vectors: Tensor) -> None:
    """Prompt tuning begins at `vectors` (virtual tokens, width)."""
    _encoder(model).embedding.weight.copy_(vectors)


@torch.no_grad()
def set_prefix(model: nn.Module, ids: Sequence[int]) -> None:
    """Prefix tuning begins at the base model's keys and values of these tokens, one a virtual token."""
    base = bare(model)
    shown = torch.tensor([list(ids)], device=base.device)
    cache = base(input_ids=shown, use_cache=True, logits_to_keep=1).past_key_values
    initialize_kv_prefix_from_past_key_values(model, past_key_values=cache)


# How far P-tuning's hidden units go above zero, times the units of one vector, in standard deviations of the vectors:
# then one rate moves the vectors of every model by about the same share of themselves (`python -m benchmarks.rates`).
REACH = 1900.0


@torch.no_grad()
def steer_encoder(model: nn.Module, vectors: Tensor) -> None:
    """P-tuning begins at `vectors` (virtual tokens, width)."""
    steer(_encoder(model), vectors)


@torch.no_grad()
def steer(encoder: Any, vectors: Tensor) -> None:
    """Solve for the last two layers of a `PromptEncoder`: of the hidden units each is above zero for one vector, by
    turns, and a little below for the others. With as many hidden units as virtual tokens the solution is exact.

    Drawn at random the units are nearly the same for every vector. Then the last layer has to be large, and a step of
    any layer moves all vectors together, away from where they were put; with units of its own each is moved by its own
    gradient, as in prompt tuning, while the layers below tie them to one another.
    """
    encoder.eval()  # solved for what stands without dropout
    count, units = len(vectors), encoder.mlp_head[-3].out_features
    height = max(REACH * float(vectors.std()) * count / units, 1e-3)
    own = torch.arange(units)[None] % count == torch.arange(count)[:, None]
    _solve(encoder, encoder.mlp_head[-3], torch.where(own, height, -height / 4).to(vectors))
    _solve(encoder, encoder.mlp_head[-1], vectors)
    encoder.train()


def _solve(encoder: Any, layer: Any, wanted: Tensor) -> None:
    """Set a linear layer so that the encoder gives `wanted` (virtual tokens, outputs) there: least squares."""
    seen: list[Tensor] = []
    watching = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    encoder(torch.arange(len(wanted), device=wanted.device)[None])
    watching.remove()
    given, mean = seen[0], wanted.mean(0)  # given: (virtual tokens, inputs)
    found = torch.linalg.lstsq(given.double().cpu(), (wanted - mean).double().cpu(), driver="gelsd").solution
    layer.weight.copy_(found.T)
    layer.bias.copy_(mean)


def _encoder(model: nn.Module) -> Any:
    adapted = cast(PeftModel, model)
    return adapted.prompt_encoder[adapted.active_adapter]
