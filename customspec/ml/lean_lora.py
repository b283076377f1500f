"""A LoRA layer's forward and backward in as few passes over its outputs as they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


@contextmanager
def lean_lora(model: nn.Module) -> Iterator[None]:
    """Within it, plain LoRA layers compute what PEFT's compute, up to rounding, with gradients or without.

    PEFT's own forward scales and adds in passes of their own, autograd multiplies thin matrices in the slow order, and
    under autocast a float32 copy of every layer's input is made and kept.
    """
    # one that has a forward of its own is lean already, or somebody else's
    layers = [module for module in model.modules() if type(module) is Linear and "forward" not in vars(module)]
    for layer in layers:
        layer.__dict__["forward"] = partial(_forward, layer)  # an attribute of its own hides the class's
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def plainly(model: nn.Module) -> None:
    """Give plain LoRA layers PEFT's own forward again: torch.compile, which fuses it, would compile ours by layer."""
    for module in model.modules():
        own = vars(module).get("forward")
        if isinstance(own, partial) and own.func is _forward:
            del module.__dict__["forward"]


def _forward(layer: Linear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    dtype = _computed_in(layer, x) if not args and not kwargs else None
    if dtype is None:
        return Linear.forward(layer, x, *args, **kwargs)
    [name] = layer.active_adapters
    base = cast(nn.Linear, layer.base_layer)
    down, up = cast(nn.Linear, layer.lora_A[name]), cast(nn.Linear, layer.lora_B[name])
    x, a, b = x.to(dtype), down.weight.to(dtype), up.weight.to(dtype)
    if not torch.is_grad_enabled():
        return _products(x, base.weight, base.bias, a, b, layer.scaling[name])[0]
    found: Tensor = _Lean.apply(x, base.weight, base.bias, a, b, layer.scaling[name])  # type: ignore[no-untyped-call]
    return found


def _computed_in(layer: Linear, x: Tensor) -> torch.dtype | None:
    """The type of the products; None where the layer is more than a frozen linear map with one plain update."""
    names, base = layer.active_adapters, layer.base_layer
    if layer.disable_adapters or layer.merged or len(names) != 1 or names[0] not in layer.lora_A:
        return None
    if names[0] in layer.lora_variant or type(base) is not nn.Linear or any(p.requires_grad for p in base.parameters()):
        return None
    drop, factors = layer.lora_dropout[names[0]], (layer.lora_A[names[0]], layer.lora_B[names[0]])
    if (drop.training and not isinstance(drop, nn.Identity)) or any(part.bias is not None for part in factors):
        return None
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        return dtype if base.weight.dtype == dtype else None
    same = {x.dtype, base.weight.dtype, *(part.weight.dtype for part in factors)}
    return x.dtype if len(same) == 1 else None


def _products(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """x W^T + bias + scale (x A^T) B^T, the rows of x, and x A^T (tokens, r)."""
    rows = x.reshape(-1, x.shape[-1])
    narrow = rows @ a.T
    out = F.linear(rows, weight, bias).addmm_(narrow, b.T, alpha=scale)
    return out.view(*x.shape[:-1], -1), rows, narrow


class _Lean(torch.autograd.Function):
    """The first of `_products`, with gradients for x, A and B."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        out, rows, narrow = _products(x, weight, bias, a, b, scale)
        ctx.save_for_backward(rows, weight, a, b, narrow)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, a, b, narrow = ctx.saved_tensors
        out = given.reshape(-1, given.shape[-1])
        # thin factors lie along the long side: the other order takes up to ten times as long on a CPU
        back = (out @ b.T.contiguous().T).mul_(ctx.scale)  # (tokens, r)
        to_a = back.T @ rows
        to_b = (narrow.T @ out).mul_(ctx.scale).T
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (out @ weight).addmm_(back, a).view(*given.shape[:-1], -1)
        return to_x, None, None, to_a, to_b, None
