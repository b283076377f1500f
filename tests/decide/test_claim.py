"""The claim: one one-sided test on the test rows, and the rows that would have shown it."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from measures import ACCURACY, SCORE
from scipy.stats import binomtest

from customspec.decide.claim import Claim, claim, level_of
from customspec.decide.power import rows_for_power
from customspec.decide.samples import Measure, Sample
from customspec.spec import Goal


def right(successes: int, n: int) -> Sample:
    return Sample.of_rows([1.0] * successes + [0.0] * (n - successes))


def of(sample: Sample, threshold: float, measure: Measure = ACCURACY, *, looks: int = 1) -> Claim:
    return claim(sample, measure, Goal(metric=measure.name, at_least=threshold), 0.95, looks=looks)


def test_the_quickstarts_goal_is_shown_by_138_of_160() -> None:
    found = of(right(138, 160), 0.8)
    assert found.shown
    assert found.bound == pytest.approx(0.8095, abs=1e-4)
    assert (found.value, found.n, found.confidence, found.rows_needed) == (0.8625, 160, 0.95, None)
    assert found.method == "Clopper-Pearson"


@pytest.mark.parametrize("successes", range(75, 96))
def test_a_goal_is_shown_where_the_exact_binomial_test_rejects(successes: int) -> None:
    p = binomtest(successes, 100, 0.8, alternative="greater").pvalue
    assert of(right(successes, 100), 0.8).shown == (p <= 0.05)


def test_a_goal_of_at_most_mirrors_one_of_at_least() -> None:
    errors = Measure("errors", 0.0, 1.0, higher_is_better=False, proportion=True)
    mirrored = claim(right(22, 160), errors, Goal(metric="errors", at_most=0.2), 0.95)
    assert mirrored.shown
    assert mirrored.bound == pytest.approx(1 - of(right(138, 160), 0.8).bound)
    short = claim(right(22, 160), errors, Goal(metric="errors", at_most=0.15), 0.95)
    assert short.rows_needed == of(right(138, 160), 0.85).rows_needed


def test_what_is_not_shown_says_how_many_rows_would_show_it() -> None:
    found = of(right(138, 160), 0.82)
    assert not found.shown
    assert found.rows_needed == rows_for_power(0.82, 0.8625, 0.95)
    assert of(right(138, 160), 0.87).rows_needed is None  # no number shows what the estimate misses


def test_other_scores_need_rows_by_their_own_spread() -> None:
    generator = random.Random(0)
    values = [generator.gauss(0.6, 0.05) for _ in range(50)]
    near, far = fmean(values) - 0.005, fmean(values) - 0.1
    found = of(Sample.of_rows(values), near, SCORE)
    assert found.method == "BCa bootstrap"
    by_hand = ((1.645 + 0.842) * 0.05 / 0.005) ** 2
    assert found.rows_needed == pytest.approx(by_hand, rel=0.35)
    assert of(Sample.of_rows(values * 8), far, SCORE).shown


@pytest.mark.parametrize("grouped", [False, True])
def test_perfect_rows_need_as_many_as_could_show_it(grouped: bool) -> None:
    sample = Sample.of_rows([1.0] * 20, [str(row // 2) for row in range(20)] if grouped else None)
    found = of(sample, 0.9, SCORE)
    assert not found.shown
    assert found.rows_needed == (58 if grouped else 29)  # 29 groups of two


@pytest.mark.parametrize("rows", [[0.5], [0.5] * 50, [0.5, 0.4, 0.3, 0.2]])
def test_without_a_worst_value_rows_that_tell_too_little_show_nothing(rows: list[float]) -> None:
    """One row would show any goal otherwise, and so would any number of equal ones."""
    endless = Measure("loss", 0.0, math.inf, higher_is_better=False, proportion=False)
    found = claim(Sample.of_rows(rows), endless, Goal(metric="loss", at_most=0.6), 0.95)
    assert (found.shown, found.bound, found.rows_needed) == (False, math.inf, None)
    assert found.to_json()["bound"] is None
    more = claim(Sample.of_rows([*rows, 0.45, 0.35, 0.25, 0.15] * 2), endless, Goal(metric="loss", at_most=0.6), 0.95)
    assert more.shown


@pytest.mark.parametrize(("successes", "n", "threshold"), [(98, 100, 0.95), (144, 200, 0.66), (64, 80, 0.7)])
@pytest.mark.parametrize("size", [1, 5])
def test_rows_or_groups_all_good_or_all_bad_are_judged_exactly(
    successes: int, n: int, threshold: float, size: int
) -> None:
    """Of such scores a bootstrap's bound errs in up to an eighth of all samples at 95 %."""
    rows = [float(row < successes) for row in range(n) for _ in range(size)]
    sample = Sample.of_rows(rows, None if size == 1 else [str(row // size) for row in range(n * size)])
    p = binomtest(successes, n, threshold, alternative="greater").pvalue
    found = of(sample, threshold, SCORE)
    assert (found.shown, found.method) == (p <= 0.05, "Clopper-Pearson")
    needed = rows_for_power(threshold, successes / n, 0.95)
    assert found.rows_needed == (None if found.shown else size * (needed or 0))


def test_a_bootstraps_bound_must_pass_the_threshold() -> None:
    sample = Sample.of_rows([1.0] * 60 + [0.5] * 40)
    bound = of(sample, 0.5, SCORE).bound
    assert not of(sample, bound, SCORE).shown
    assert of(sample, bound - 0.005, SCORE).shown


def test_a_claim_on_rows_that_chose_shares_its_level() -> None:
    assert level_of(0.95, 1) == 0.95
    assert level_of(0.95, 5) == pytest.approx(0.99)
    alone, shared = of(right(138, 160), 0.8), of(right(138, 160), 0.8, looks=5)
    assert alone.shown
    assert not shared.shown
    assert shared.confidence == pytest.approx(0.99)
    assert shared.bound < 0.8 < alone.bound
