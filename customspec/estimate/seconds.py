"""Time of a training and of an evaluation: operations over the machine's rate, and what every pass costs beside."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from customspec.estimate import flops
from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.memory import rows_at_once
from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape
from customspec.header import Linear


def training(shape: Shape, load: TrainingLoad, trained: Trained, rates: Rates) -> float:
    """All passes and optimizer steps; comparisons on the validation rows are evaluations of their own."""
    run = load.a_pass(rates.sharing)
    launches = 2 if run.once else 1
    products = flops.training_pass(shape, load, trained.per_token, rates.sharing) / rates.training
    one = launches * rates.training_seconds + products + adapters(trained.adapted, run.tokens, launches, rates)
    return load.passes * one + load.steps * trained.weights / rates.optimizer


def evaluation(shape: Shape, load: EvaluationLoad, adapted: Sequence[Linear], rates: Rates) -> float:
    """Every row, in batches; generation goes on to the most tokens that a row may get."""
    batches = ceil(load.rows / rows_at_once(shape, load, rates))
    passes = (1 if load.shared else 0) + batches * (1 + load.generated)
    tokens = load.shared + load.rows * (load.own + load.tree + load.samples * load.generated)
    products = flops.evaluation(shape, load) / rates.forward
    # a forward pass does a third of what a forward and backward pass does
    return passes * rates.forward_seconds + products + adapters(adapted, tokens, passes, rates) / 3


def adapters(adapted: Sequence[Linear], tokens: float, passes: float, rates: Rates) -> float:
    """What adapters beside linear maps cost in forward and backward passes of so many tokens together."""
    width = sum(linear.inputs + linear.outputs for linear in adapted)
    return passes * len(adapted) * rates.adapter_seconds + tokens * width / rates.adapted
