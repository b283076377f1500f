"""Operations of matrix products: a multiplication and an addition are two.

Forward, a token takes 2 per weight of the linear maps, 4 per layer, query width and key that it attends to, and 2 per
weight of the head where it predicts (Kaplan et al. 2020, 2.1; Chowdhery et al. 2022, appendix B). Keys that a mask
hides are counted: they are multiplied. Backward, as much again for the gradients of what goes through, and as much
again for those of the weights where these are trained.
"""

from __future__ import annotations

from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.passes import Sharing
from customspec.estimate.shape import Shape


def forward(shape: Shape, tokens: float, keys: float, predicting: float) -> float:
    """One pass: `tokens` in all, each attending to `keys`, `predicting` of them through the head."""
    return tokens * (2 * shape.body + 4 * shape.layers * shape.queries * keys) + 2 * predicting * shape.head


def evaluation(shape: Shape, load: EvaluationLoad, trained: Trained, passes: int) -> float:
    """Every row of an evaluation, in so many passes."""
    once = forward(shape, load.shared, load.shared, 1) if load.shared else 0.0
    width = load.own + load.tree
    rows = forward(shape, width, load.shared + width, load.predicted)
    written = load.generated * forward(shape, 1, load.shared + load.own + load.generated / 2, 1)
    beside = 0 if trained.weights >= shape.parameters else 2 * trained.per_token * load.tokens
    return once + load.rows * (rows + load.samples * written) + beside + 2 * trained.per_pass * passes


def training_pass(shape: Shape, load: TrainingLoad, trained: Trained, sharing: Sharing) -> float:
    """One forward and backward pass."""
    run = load.a_pass(sharing)
    beside = run.rows * run.width
    there = forward(shape, run.once, run.once, 0) + forward(shape, beside, run.keys, load.batch * load.learned)
    attention = 4 * shape.layers * shape.queries * (run.once * run.once + beside * run.keys)
    whole = trained.weights >= shape.parameters
    # the adapter's own products, forward and backward; a whole model's are those of its weights' gradients
    own = there - attention if whole else 6 * trained.per_token * run.tokens
    return 2 * there + attention + own + 4 * trained.per_pass * run.launches


def training(shape: Shape, load: TrainingLoad, trained: Trained, sharing: Sharing) -> float:
    """All passes."""
    return load.passes * training_pass(shape, load, trained, sharing)
