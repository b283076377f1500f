"""Operations of matrix products: a multiplication and an addition are two."""

from __future__ import annotations


def training_flops(trained: int, total: int, tokens: float) -> float:
    """4 per parameter and token through the frozen part (forward, and backward to the activations), 2 more where
    weights have gradients of their own."""
    return (4.0 * total + 2.0 * trained) * tokens


def evaluation_flops(total: int, tokens: float) -> float:
    """2 per parameter and token: one forward pass."""
    return 2.0 * total * tokens
