"""Seconds, against counts by hand; and rates back out of the passes that they would take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from customspec.estimate import flops, memory, seconds
from customspec.estimate.calibration import NEVER, Measurements, Passed, rates_of
from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.rates import UNKNOWN, Rates, memo_key
from customspec.estimate.shape import Shape
from customspec.header import Linear

LINEARS = (Linear("0.mlp.up", 8, 16), Linear("0.mlp.down", 16, 8))
NOTHING = Trained(0)


def test_an_evaluation_is_its_operations_and_its_passes(shape: Shape, rates: Rates) -> None:
    load = EvaluationLoad(rows=25, shared=20, own=6, longest=8, tree=2, predicted=3)
    passes = 1 + 3  # the shared tokens, and three batches of ten rows
    assert seconds.passes(shape, load, rates) == passes
    assert seconds.evaluation(shape, load, NOTHING, rates) == pytest.approx(
        passes * 0.5 + flops.evaluation(shape, load, NOTHING, passes) / 1000
    )
    written = replace(load, generated=5, tree=0, predicted=1)
    batches = 25 // (200 // (8 + 20 + 5)) + 1
    passes = 1 + batches * 6
    assert seconds.evaluation(shape, written, NOTHING, rates) == pytest.approx(
        passes * 0.5 + flops.evaluation(shape, written, NOTHING, passes) / 1000
    )
    adapted = Trained(40, 40, LINEARS)
    # two adapters; the shared tokens, and 25 rows of 6 + 5; a third of what a pass forward and backward takes
    beside = (passes * 2 * 0.25 + (20 + 25 * 11) * 48 / 100) / 3
    assert seconds.evaluation(shape, written, adapted, rates) == pytest.approx(
        passes * 0.5 + flops.evaluation(shape, written, adapted, passes) / 1000 + beside
    )


def test_a_training_is_its_passes_its_steps_and_its_adapters(shape: Shape, rates: Rates) -> None:
    load = TrainingLoad(steps=3, passes=6, batch=2, shared=0, own=6, longest=8, learned=3)
    a_pass = 2.0 + flops.training_pass(shape, load, NOTHING, rates.sharing) / 500
    assert seconds.training(shape, load, Trained(40), rates) == pytest.approx(6 * a_pass + 3 * 40 / 10)
    beside = 2 * 0.25 + 20 * 48 / 100  # two adapters; 2 x (6 + 4) tokens, inputs and outputs of 48 together
    assert seconds.training(shape, load, Trained(40, 0, LINEARS), rates) == pytest.approx(
        6 * (a_pass + beside) + 3 * 40 / 10
    )


def test_rates_come_back_out_of_the_passes_that_they_take(shape: Shape, rates: Rates) -> None:
    def passed(rows: int, width: int, *, trains: bool, adapted: tuple[Linear, ...] = ()) -> Passed:
        there = flops.forward(shape, rows * width, width, rows * 4)
        attention = 4 * shape.layers * shape.queries * rows * width * width
        time = 2.0 + (2 * there + attention) / 500 if trains else 0.5 + there / 1000
        return Passed(rows, width, 4, time + seconds.adapters(adapted, rows * width, 1, rates))

    def both(*, trains: bool, adapted: tuple[Linear, ...] = ()) -> tuple[Passed, Passed]:
        return passed(1, 8, trains=trains, adapted=adapted), passed(8, 64, trains=trains, adapted=adapted)

    long = TrainingLoad(1, 1, 8, 0, 64, 64, 4)
    kept = 1.25 * memory.activations(shape, long, "float32", NEVER) + memory.logits(shape, long, "float32")
    more = 3 * memory.inputs(shape, long, LINEARS, "float32", NEVER)
    measured = Measurements(
        LINEARS,
        forward=both(trains=False),
        frozen=both(trains=True),
        adapted=both(trains=True, adapted=LINEARS),
        optimizer=10.0,
        kept_frozen=round(kept),
        kept=round(kept + more),
        resident_bytes=1_000_000,
    )
    found = rates_of(Rates.assumed(UNKNOWN, shape), shape, "float32", measured)
    assert found.calibrated
    assert found.forward == pytest.approx(rates.forward)
    assert found.forward_seconds == pytest.approx(rates.forward_seconds)
    assert found.training == pytest.approx(rates.training)
    assert found.training_seconds == pytest.approx(rates.training_seconds)
    assert found.adapted == pytest.approx(rates.adapted)
    # the short pass has tokens too: what they take is counted with the fixed part
    assert found.adapter_seconds == pytest.approx(rates.adapter_seconds + 8 * 48 / 100 / 2)
    assert found.activations == pytest.approx(1.25, rel=0.01)
    assert found.inputs == pytest.approx(3, rel=0.01)


def test_a_long_pass_that_was_faster_says_nothing(shape: Shape) -> None:
    assumed = Rates.assumed(UNKNOWN, shape)
    short, long = Passed(1, 8, 1, 2.0), Passed(8, 64, 1, 1.0)
    measured = Measurements(LINEARS, (short, long), (short, long), (short, long), optimizer=1.0)
    found = rates_of(assumed, shape, "float32", measured)
    assert (found.forward, found.training, found.adapted) == (assumed.forward, assumed.training, assumed.adapted)
    assert (found.activations, found.inputs, found.resident_bytes) == (1.0, 1.0, assumed.resident_bytes)


def test_rates_are_remembered_by_machine_and_model() -> None:
    other = replace(UNKNOWN, cores=2)
    assert len({memo_key(UNKNOWN, "a"), memo_key(UNKNOWN, "b"), memo_key(other, "a")}) == 3
    assert memo_key(replace(UNKNOWN, python="3.13"), "a") == memo_key(UNKNOWN, "a")
