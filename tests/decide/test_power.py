"""Rows that a claim takes: against scipy's binomial distribution, and against the figures in every textbook."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
import pytest
from scipy.stats import binom

from customspec.decide.intervals import clopper_pearson
from customspec.decide.power import (
    exact_power,
    fewest_rows,
    goal_share,
    least_shown,
    rows_by_normal,
    rows_for_power,
    share_of,
)
from customspec.decide.samples import Measure
from customspec.spec import Goal

CASES = [(0.9, 0.93), (0.8, 0.9), (0.95, 0.97), (0.5, 0.6), (0.02, 0.05), (0.8, 1.0)]


def power(n: int, share: float, true: float) -> float:
    """By scipy's distribution: the probability of as many right rows as give a Clopper-Pearson bound at the goal."""
    right = bisect_left(range(n + 1), share, key=lambda k: clopper_pearson(k, n, 0.95, "lower"))
    return float(binom.sf(right - 1, n, true))


def test_090_against_093_takes_about_560_rows_by_the_approximation_and_593_exactly() -> None:
    assert rows_by_normal(0.9, 0.93, 0.95) == 558
    assert rows_for_power(0.9, 0.93, 0.95) == 593
    assert power(592, 0.9, 0.93) < 0.8 <= power(593, 0.9, 0.93)


@pytest.mark.parametrize(("share", "true"), CASES)
def test_from_the_rows_needed_on_the_power_is_never_less(share: float, true: float) -> None:
    needed = rows_for_power(share, true, 0.95)
    assert needed is not None
    assert power(needed - 1, share, true) < 0.8
    assert all(power(n, share, true) >= 0.8 for n in range(needed, needed + 40))
    assert (exact_power(np.arange(needed, 3 * needed), share, true, 0.95) >= 0.8).all()


@pytest.mark.parametrize("n", [1, 13, 100, 617])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_the_exact_power_is_that_of_the_bound_that_a_run_uses(n: int, share: float) -> None:
    true = (1 + share) / 2
    assert exact_power(np.array([n]), share, true, 0.95)[0] == pytest.approx(power(n, share, true))


@pytest.mark.parametrize("n", [20, 100, 617])
def test_the_least_value_shown_has_that_power(n: int) -> None:
    least = least_shown(n, 0.8, 0.95)
    assert least is not None
    assert power(n, 0.8, least) == pytest.approx(0.8)


def test_rows_that_cannot_show_a_goal_show_no_value_of_it() -> None:
    assert least_shown(13, 0.8, 0.95) is None
    assert least_shown(14, 0.8, 0.95) is not None


@pytest.mark.parametrize("share", [0.01, 0.5, 0.8, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_the_fewest_rows_show_a_goal_when_all_are_right_and_one_row_less_does_not(
    share: float, confidence: float
) -> None:
    fewest = fewest_rows(share, confidence)
    assert fewest is not None
    assert clopper_pearson(fewest, fewest, confidence, "lower") >= share - 1e-12
    assert fewest == 1 or clopper_pearson(fewest - 1, fewest - 1, confidence, "lower") < share


def test_the_fewest_rows_of_the_usual_goals() -> None:
    assert [fewest_rows(goal, 0.95) for goal in (0.8, 0.9, 0.95, 0.99)] == [14, 29, 59, 299]  # the rule of three
    assert fewest_rows(0.0, 0.95) == 1
    assert fewest_rows(1.0, 0.95) is None


def test_no_number_of_rows_shows_what_is_not_true() -> None:
    assert rows_for_power(0.9, 0.9, 0.95) is None
    assert rows_for_power(0.9, 0.8, 0.95) is None


def test_very_many_rows_are_counted_by_the_approximation() -> None:
    assert rows_for_power(0.9, 0.9005, 0.95) == rows_by_normal(0.9, 0.9005, 0.95) > 100_000


def test_a_goal_is_a_share_of_the_metrics_range_from_the_worst_value() -> None:
    scale = Measure("scale", -1.0, 3.0, higher_is_better=True, proportion=False)
    assert goal_share(Goal(metric="scale", at_least=2.0), scale) == 0.75
    assert goal_share(Goal(metric="scale", at_most=0.0), scale) == 0.75
    endless = Measure("loss", 0.0, math.inf, higher_is_better=False, proportion=False)
    assert goal_share(Goal(metric="loss", at_most=1.0), endless) is None
    assert share_of(2.0, scale, at_least=False) == 0.25
