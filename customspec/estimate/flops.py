"""Operations of matrix products: a multiplication and an addition are two.

Forward, a token takes 2 per weight of the linear maps, 4 per layer, query width and key that it attends to, and 2 per
weight of the head where it predicts (Kaplan et al. 2020, 2.1; Chowdhery et al. 2022, appendix B). Keys that a mask
hides are counted: they are multiplied. Backward, as much again for the gradients of what goes through, and as much
again for those of the weights where these are trained.
"""

from __future__ import annotations

from customspec.estimate.passes import Sharing
from customspec.estimate.shape import Shape
from customspec.estimate.work import Asked, Taught


def forward(shape: Shape, tokens: float, keys: float, predicting: float) -> float:
    """One pass: `tokens` in all, each attending to `keys`, `predicting` of them through the head."""
    return tokens * (2 * shape.body + 4 * shape.layers * shape.queries * keys) + 2 * predicting * shape.head


def evaluation(shape: Shape, asked: Asked) -> float:
    """Every row of an evaluation."""
    once = forward(shape, asked.shared, asked.shared, 1) if asked.shared else 0.0
    width = asked.own + asked.tree
    rows = forward(shape, width, asked.shared + width, asked.predicted)
    written = asked.generated * forward(shape, 1, asked.shared + asked.own + asked.generated / 2, 1)
    return once + asked.rows * (rows + asked.samples * written)


def training_pass(shape: Shape, taught: Taught, trained: int, sharing: Sharing) -> float:
    """One forward and backward pass. `trained` are the weights that get gradients of their own from every token."""
    run = taught.a_pass(sharing)
    beside = run.rows * run.width
    there = forward(shape, run.once, run.once, 0) + forward(shape, beside, run.keys, taught.batch * taught.learned)
    attention = 4 * shape.layers * shape.queries * (run.once * run.once + beside * run.keys)
    whole = trained >= shape.parameters
    # the adapter's own products, forward and backward; a whole model's are those of its weights' gradients
    own = there - attention if whole else 6 * trained * run.tokens
    return 2 * there + attention + own


def training(shape: Shape, taught: Taught, trained: int, sharing: Sharing) -> float:
    """All passes."""
    return taught.passes * training_pass(shape, taught, trained, sharing)
