"""From a few measured passes to a machine's rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from customspec.estimate import flops, memory
from customspec.estimate.loads import TrainingLoad
from customspec.estimate.passes import Sharing
from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape
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
    def load(self) -> TrainingLoad:
        return TrainingLoad(1, 1, self.rows, 0, self.width, self.width, self.learned)


NEVER = Sharing(apart=2**62, line=0)
Pair = tuple[Passed, Passed]
"""A short pass and a long one."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """What was measured of a model on a machine: passes forward alone, with training through frozen maps, and with an
    adapter beside each of `linears`, where the first layer's inputs have gradients too.

    `optimizer`: weights a second. `kept_frozen` and `kept`: bytes that the long pass without and with adapters needed
    beyond the model; these and `resident_bytes` are None where they could not be measured.
    """

    linears: Sequence[Linear]
    forward: Pair
    frozen: Pair
    adapted: Pair
    optimizer: float
    kept_frozen: int | None = None
    kept: int | None = None
    resident_bytes: int | None = None


def rates_of(assumed: Rates, shape: Shape, dtype: str, found: Measurements) -> Rates:
    """The rates, those that the measurements do not give as they were assumed."""
    rate, fixed = _line(found.forward, [_forward_flops(shape, one) for one in found.forward], assumed.forward)
    training, launch = _line(found.frozen, [_training_flops(shape, one) for one in found.frozen], assumed.training)
    pairs = zip(found.adapted, found.frozen, strict=True)
    extra = [max(0.0, with_.seconds - without.seconds) for with_, without in pairs]
    short, long = found.adapted
    width = sum(linear.inputs + linear.outputs for linear in found.linears)
    growth = max(0.0, extra[1] - extra[0]) / (long.tokens - short.tokens)
    return assumed.measured(
        {
            "forward": rate,
            "forward_seconds": fixed,
            "training": training,
            "training_seconds": launch,
            "adapted": width / growth if growth else assumed.adapted,
            "adapter_seconds": extra[0] / len(found.linears) if found.linears else assumed.adapter_seconds,
            "optimizer": found.optimizer,
            "resident_bytes": assumed.resident_bytes if found.resident_bytes is None else found.resident_bytes,
            "activations": _activations(shape, dtype, found),
            "inputs": _inputs(shape, dtype, found),
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


def _activations(shape: Shape, dtype: str, found: Measurements) -> float:
    """Measured over counted. Half as much or twice as much is no measurement of activations."""
    load = found.frozen[1].load
    if found.kept_frozen is None:
        return 1.0
    counted = memory.activations(shape, load, dtype, NEVER)
    return min(2.0, max(0.5, (found.kept_frozen - memory.logits(shape, load, dtype)) / counted))


def _inputs(shape: Shape, dtype: str, found: Measurements) -> float:
    """Measured over counted, of what adapters keep; libraries keep more beside small products than their inputs."""
    counted = memory.inputs(shape, found.adapted[1].load, found.linears, dtype, NEVER)
    if found.kept is None or found.kept_frozen is None or not counted:
        return 1.0
    return min(10.0, max(0.5, (found.kept - found.kept_frozen) / counted))
