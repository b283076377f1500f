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
    products = flops.training_pass(shape, load, trained, rates.sharing) / rates.training
    beside = adapters(trained.adapted, run.tokens, run.launches, rates)
    one = run.launches * rates.training_seconds + products + beside
    return load.passes * one + load.steps * trained.weights / rates.optimizer


def evaluation(shape: Shape, load: EvaluationLoad, trained: Trained, rates: Rates) -> float:
    """Every row, in batches; generation goes on to the most tokens that a row may get."""
    launches = passes(shape, load, rates)
    products = flops.evaluation(shape, load, trained, launches) / rates.forward
    # a forward pass does a third of what a forward and backward pass does
    beside = adapters(trained.adapted, load.tokens, launches, rates) / 3
    return launches * rates.forward_seconds + products + beside


def passes(shape: Shape, load: EvaluationLoad, rates: Rates) -> int:
    """How often an evaluation calls the model."""
    batches = ceil(load.rows / rows_at_once(shape, load, rates))
    return (1 if load.shared else 0) + batches * (1 + load.generated)


def adapters(adapted: Sequence[Linear], tokens: float, passes: float, rates: Rates) -> float:
    """What adapters beside linear maps cost in forward and backward passes of so many tokens together."""
    width = sum(linear.inputs + linear.outputs for linear in adapted)
    return passes * len(adapted) * rates.adapter_seconds + tokens * width / rates.adapted
