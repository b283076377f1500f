"""The loss of many answer tokens at once: their logits are made, used and dropped part by part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from customspec.estimate.passes import LOGITS_AT_ONCE
from customspec.ml.batching import bare, evaluating
from customspec.ml.trials import Trials, as_it_is

_TRIED = ((5, 3, 4, 6), (4, 6, 5, 3))  # ids that every vocabulary has
_TOLERANCE = 1e-6


def many(tokens: int, vocabulary: int, at_once: int = LOGITS_AT_ONCE) -> bool:
    """Whether so many tokens have more logits than shall be in memory."""
    return tokens * vocabulary > at_once


def plain_head(model: nn.Module) -> nn.Linear | None:
    """The output head, where logits are its product with what comes in and nothing else; tried once a model."""
    base = bare(model)
    head = base.get_output_embeddings()
    if type(head) is not nn.Linear or head.bias is not None:
        return None
    fault = Trials.of(model).verdict(("head", as_it_is(model)), lambda: _off(model, head), _TOLERANCE)
    return head if fault is None else None


@contextmanager
def without_head(model: nn.Module) -> Iterator[None]:
    """Within it, what the model gives as logits is what its head would have been given."""
    base = bare(model)
    head = base.get_output_embeddings()
    base.set_output_embeddings(cast(Any, nn.Identity()))
    try:
        yield
    finally:
        base.set_output_embeddings(cast(Any, head))


def summed_loss(states: Tensor, head: nn.Linear, targets: Tensor, at_once: int = LOGITS_AT_ONCE) -> Tensor:
    """The sum of the cross-entropies of `states` (tokens, width) through `head` against `targets` (tokens,), in nats.

    The gradients of states and weight are made in the forward pass, while a part's logits are there; at most `at_once`
    numbers are, in float32 (as Hsu et al. 2024, Liger Kernel, do it in one kernel).
    """
    device = states.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    size = max(1, at_once // head.out_features)
    loss: Tensor = _Summed.apply(states, head.weight, targets, size, dtype)  # type: ignore[no-untyped-call]
    return loss


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, targets: Tensor, size: int, dtype: torch.dtype) -> Tensor:
        given, made = states.to(dtype), weight.to(dtype)
        to_states = torch.empty_like(given) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        total = torch.zeros((), device=states.device)
        for start in range(0, len(given), size):
            part, wanted = given[start : start + size], targets[start : start + size]
            logits = F.linear(part, made).float()
            total += F.cross_entropy(logits, wanted, reduction="sum")
            logits = logits.softmax(-1)
            logits[torch.arange(len(wanted), device=wanted.device), wanted] -= 1
            back = logits.to(dtype)  # the gradient of the logits
            if to_states is not None:
                to_states[start : start + size] = back @ made
            if to_weight is not None:
                to_weight += back.T @ part
        ctx.save_for_backward(to_states, to_weight)
        ctx.dtypes = states.dtype, weight.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (
            None if part is None else (part * given.to(part.dtype)).to(dtype)
            for part, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return (*scaled, None, None, None)


def _off(model: nn.Module, head: nn.Linear) -> float:
    base = bare(model)
    ids = torch.tensor(_TRIED, device=base.device)
    with evaluating(model):
        expected = base(input_ids=ids, use_cache=False).logits
        with without_head(model):
            states = base(input_ids=ids, use_cache=False).logits
        if states.shape[-1] != head.in_features:
            return float("inf")
        return float((head(states) - expected).abs().max())
