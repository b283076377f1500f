"""Time of a training and of an evaluation: operations over the machine's rate, and what every pass costs beside."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from customspec.estimate import flops
from customspec.estimate.memory import rows_at_once
from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape
from customspec.estimate.work import Asked, Taught
from customspec.header import Linear


def training(
    shape: Shape, taught: Taught, trained: int, per_token: int, adapted: Sequence[Linear], rates: Rates
) -> float:
    """All passes and optimizer steps; comparisons on the validation rows are evaluations of their own.

    `per_token` are those of the `trained` weights that every token meets."""
    run = taught.a_pass(rates.sharing)
    launches = 2 if run.once else 1
    products = flops.training_pass(shape, taught, per_token, rates.sharing) / rates.training
    one = launches * rates.training_seconds + products + adapters(adapted, run.tokens, launches, rates)
    return taught.passes * one + taught.steps * trained / rates.optimizer


def evaluation(shape: Shape, asked: Asked, adapted: Sequence[Linear], rates: Rates) -> float:
    """Every row, in batches; generation goes on to the most tokens that a row may get."""
    batches = ceil(asked.rows / rows_at_once(shape, asked, rates))
    passes = (1 if asked.shared else 0) + batches * (1 + asked.generated)
    tokens = asked.shared + asked.rows * (asked.own + asked.tree + asked.samples * asked.generated)
    products = flops.evaluation(shape, asked) / rates.forward
    # a forward pass does a third of what a forward and backward pass does
    return passes * rates.forward_seconds + products + adapters(adapted, tokens, passes, rates) / 3


def adapters(adapted: Sequence[Linear], tokens: float, passes: float, rates: Rates) -> float:
    """What adapters beside linear maps cost in forward and backward passes of so many tokens together."""
    width = sum(linear.inputs + linear.outputs for linear in adapted)
    return passes * len(adapted) * rates.adapter_seconds + tokens * width / rates.adapted
