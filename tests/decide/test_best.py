"""Without a goal: losses to the best of all, their bounds holding at once."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from measures import ACCURACY, ERRORS

from customspec.decide.best import Loss, losses
from customspec.decide.pairs import tango
from customspec.decide.samples import Measure, Sample


def rows(right: int, n: int = 1000, skip: int = 0) -> list[float]:
    return [float(skip <= row < skip + right) for row in range(n)]


def found(candidates: dict[str, list[float]], measure: Measure = ACCURACY, margin: float = 0.02) -> dict[str, Loss]:
    return losses({key: Sample.of_rows(one) for key, one in candidates.items()}, measure, margin, 0.95)


def test_a_loss_is_bounded_against_each_other_candidate_at_a_shared_level() -> None:
    loss = found({"a": rows(800), "b": rows(790, skip=20), "c": rows(700)})
    level = 1 - 0.05 / 2
    assert loss["b"].value == pytest.approx(0.01)
    assert loss["b"].bound == pytest.approx(tango(20, 10, 1000, level))
    assert loss["a"].value == 0.0
    assert loss["c"].bound > 0.1


def test_two_that_answer_alike_are_both_near_the_best_given_enough_rows() -> None:
    few, many = (found({"a": rows(8 * n // 10, n), "b": rows(8 * n // 10, n)}) for n in (100, 1000))
    assert [loss.shown for loss in (*few.values(), *many.values())] == [False, False, True, True]
    needed = few["a"].rows_needed
    assert needed is not None
    enough = found({"a": rows(8 * needed // 10, needed), "b": rows(8 * needed // 10, needed)})
    assert enough["a"].shown


def test_the_best_itself_must_be_shown_to_be_near_the_best() -> None:
    """Its estimate loses nothing, but another may truly be better: else nothing was ever undecided."""
    loss = found({"a": rows(80, 100), "b": rows(78, 100, skip=10)})
    assert loss["a"].value == 0.0
    assert not loss["a"].shown
    assert loss["a"].rows_needed is not None
    assert loss["a"].rows_needed > 100


def test_no_number_of_rows_shows_a_loss_that_is_no_smaller_than_the_margin() -> None:
    loss = found({"a": rows(800), "b": rows(700)})
    assert (loss["b"].shown, loss["b"].rows_needed) == (False, None)
    assert (loss["a"].shown, loss["a"].bound) == (True, 0.0)


def test_where_lower_is_better_the_lowest_is_the_best() -> None:
    loss = found({"a": rows(100), "b": rows(300)}, ERRORS)
    assert loss["a"].shown
    assert loss["b"].value == pytest.approx(0.2)
    assert not loss["b"].shown


def test_candidates_without_common_rows_are_not_near_one_another() -> None:
    first = Sample(("a",), (1.0,), fmean, (1.0,))
    second = Sample(("b",), (1.0,), fmean, (1.0,))
    loss = losses({"first": first, "second": second}, ACCURACY, 0.02, 0.95)
    assert [(one.shown, one.rows_needed) for one in loss.values()] == [(False, None), (False, None)]


def test_the_default_margin_is_a_fiftieth_of_the_metrics_range() -> None:
    assert ACCURACY.default_margin == 0.02
    assert Measure("bleu", 0.0, 100.0, higher_is_better=True, proportion=False).default_margin == 2.0
    assert Measure("perplexity", 1.0, math.inf, higher_is_better=False, proportion=False).default_margin == 0.02
