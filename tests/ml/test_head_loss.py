"""The loss whose logits are made part by part is the loss of all logits at once, with its gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from benches import Bench
from tiny import Make
from torch import nn
from torch.nn.functional import cross_entropy

from customspec.ml import training
from customspec.ml.head_loss import many, plain_head, summed_loss, without_head

VOCABULARY, WIDTH = 97, 32


def drawn(tokens: int) -> tuple[torch.Tensor, nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    states = torch.randn(tokens, WIDTH, requires_grad=True)
    return states, nn.Linear(WIDTH, VOCABULARY, bias=False), torch.randint(0, VOCABULARY, (tokens,))


@pytest.mark.parametrize("tokens", [1, 7, 12])
@pytest.mark.parametrize("trained", [True, False])
def test_loss_and_gradients_are_those_of_all_logits(tokens: int, trained: bool) -> None:
    states, head, targets = drawn(tokens)
    head.weight.requires_grad = trained
    (3 * cross_entropy(head(states), targets, reduction="sum")).backward()
    expected = [None if part is None else part.clone() for part in (states.grad, head.weight.grad)]
    states.grad = head.weight.grad = None
    found = summed_loss(states, head, targets, at_once=5 * VOCABULARY)
    (3 * found).backward()
    whole = cross_entropy(head(states), targets, reduction="sum")
    assert found.detach().item() == pytest.approx(whole.detach().item(), rel=1e-6)
    for part, wanted in zip((states.grad, head.weight.grad), expected, strict=True):
        assert (part is None) == (wanted is None)
        assert part is None or torch.allclose(part, wanted, atol=1e-5)


def test_under_autocast_the_products_are_in_bfloat16_and_the_gradients_in_the_weights_type() -> None:
    states, head, targets = drawn(12)
    whole = cross_entropy(head(states), targets, reduction="sum")
    with torch.autocast("cpu", torch.bfloat16):
        found = summed_loss(states, head, targets, at_once=5 * VOCABULARY)
    found.backward()
    assert found.dtype == torch.float32
    assert found.detach().item() == pytest.approx(whole.detach().item(), rel=1e-2)
    assert head.weight.grad is not None
    assert head.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "opt", "granite"])
def test_what_a_plain_head_is_given_is_what_its_logits_are_the_product_of(tiny_model: Make, architecture: str) -> None:
    model, ids = tiny_model(architecture), torch.tensor([[5, 7, 11]])
    head = plain_head(model)
    assert head is not None
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        with without_head(model):
            states = model(input_ids=ids).logits
        assert torch.allclose(head(states), expected, atol=1e-6)
        assert torch.equal(model(input_ids=ids).logits, expected)  # the head is back


@pytest.mark.parametrize("architecture", ["gemma2"])  # which caps its logits
def test_a_head_that_is_not_all_is_seen_by_trying(tiny_model: Make, architecture: str) -> None:
    assert plain_head(tiny_model(architecture)) is None


def test_logits_are_counted() -> None:
    assert [many(10, 97, at_once=count) for count in (969, 970)] == [True, False]


@pytest.mark.parametrize("technique", ["full", "lora", "prompt_tuning"])
def test_a_training_ends_in_the_same_weights(
    tiny_model: Make, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, technique: str
) -> None:
    def ended() -> Bench:
        one = bench(technique)
        one.make = lambda: tiny_model("llama")
        return one

    expected = ended().train()
    parts: list[int] = []

    def counted(states: torch.Tensor, head: nn.Linear, targets: torch.Tensor) -> torch.Tensor:
        parts.append(len(targets))
        return summed_loss(states, head, targets, at_once=2 * VOCABULARY)

    monkeypatch.setattr(training, "many", lambda *_: True)
    monkeypatch.setattr(training, "summed_loss", counted)
    found = ended().train()
    assert sum(parts) == 3 * found.trained.rows  # every answer has three tokens
    for name, part in found.weights.items():
        assert torch.allclose(part, expected.weights[name], atol=1e-4), name
