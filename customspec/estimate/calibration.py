"""From a few measured passes to a machine's rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from customspec.estimate import flops, memory
from customspec.estimate.passes import Sharing
from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape
from customspec.estimate.work import Taught
from customspec.header import Linear


@dataclass(frozen=True, slots=True)
class Passed:
    """A pass over `rows` rows of `width` tokens, the last `learned` of each through the head."""

    rows: int
    width: int
    learned: int
    seconds: float

    @property
    def tokens(self) -> int:
        return self.rows * self.width

    @property
    def taught(self) -> Taught:
        return Taught(1, 1, self.rows, 0, self.width, self.width, self.learned)


NEVER = Sharing(apart=2**62, line=0)
Pair = tuple[Passed, Passed]
"""A short pass and a long one."""


def rates_of(
    assumed: Rates,
    shape: Shape,
    dtype: str,
    linears: Sequence[Linear],
    *,
    forward: Pair,
    frozen: Pair,
    adapted: Pair,
    optimizer: float,
    kept_frozen: int | None,
    kept: int | None,
    resident_bytes: int | None,
) -> Rates:
    """`adapted`: passes with an adapter beside each of `linears`, the first layer's inputs having gradients too.

    `kept_frozen` and `kept`: bytes that the long pass without and with adapters needed beyond the model.
    """
    rate, fixed = _line(forward, [_forward_flops(shape, one) for one in forward], assumed.forward)
    training, launch = _line(frozen, [_training_flops(shape, one) for one in frozen], assumed.training)
    extra = [max(0.0, with_.seconds - without.seconds) for with_, without in zip(adapted, frozen, strict=True)]
    width = sum(linear.inputs + linear.outputs for linear in linears)
    growth = max(0.0, extra[1] - extra[0]) / (adapted[1].tokens - adapted[0].tokens)
    return assumed.measured(
        {
            "forward": rate,
            "forward_seconds": fixed,
            "training": training,
            "training_seconds": launch,
            "adapted": width / growth if growth else assumed.adapted,
            "adapter_seconds": extra[0] / len(linears) if linears else assumed.adapter_seconds,
            "optimizer": optimizer,
            "resident_bytes": assumed.resident_bytes if resident_bytes is None else resident_bytes,
            "activations": _activations(shape, dtype, frozen[1], kept_frozen),
            "inputs": _inputs(shape, dtype, linears, adapted[1], kept_frozen, kept),
        }
    )


def _line(pair: Pair, work: Sequence[float], assumed: float) -> tuple[float, float]:
    """Operations a second of what the long pass does beyond the short one, and the seconds that do not grow."""
    grown = pair[1].seconds - pair[0].seconds
    rate = (work[1] - work[0]) / grown if grown > 0 else assumed
    return rate, max(0.0, pair[0].seconds - work[0] / rate)


def _forward_flops(shape: Shape, one: Passed) -> float:
    return flops.forward(shape, one.tokens, one.width, one.rows * one.learned)


def _training_flops(shape: Shape, one: Passed) -> float:
    return flops.forward(shape, one.tokens, one.width, one.rows * one.learned) * 2 + _attention(shape, one)


def _attention(shape: Shape, one: Passed) -> float:
    return 4 * shape.layers * shape.queries * one.tokens * one.width


def _activations(shape: Shape, dtype: str, long: Passed, kept: int | None) -> float:
    """Measured over counted. Half as much or twice as much is no measurement of activations."""
    if kept is None:
        return 1.0
    counted = memory.activations(shape, long.taught, dtype, NEVER)
    return min(2.0, max(0.5, (kept - memory.logits(shape, long.taught, dtype)) / counted))


def _inputs(
    shape: Shape, dtype: str, linears: Sequence[Linear], long: Passed, without: int | None, kept: int | None
) -> float:
    """Measured over counted, of what adapters keep; libraries keep more beside small products than their inputs."""
    counted = memory.inputs(shape, long.taught, linears, False, dtype, NEVER)
    if kept is None or without is None or not counted:
        return 1.0
    return min(10.0, max(0.5, (kept - without) / counted))
