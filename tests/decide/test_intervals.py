"""Intervals and bounds: against published examples, against theory, and where the data leave nothing to estimate."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from statistics import NormalDist, fmean, pstdev, pvariance

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measures import ACCURACY, SCORE

from customspec.decide.intervals import (
    Interval,
    bootstrap,
    bound_of,
    clopper_pearson,
    interval_of,
    resamples_for,
    unseen,
    wilson,
)
from customspec.decide.samples import Measure, Sample, statistic_of


def whole_set(values: Sequence[float], score: object = fmean) -> Sample:
    """Rows that have no score of their own, only all of them together."""
    return Sample(tuple(map(str, range(len(values)))), values, score)  # type: ignore[arg-type]


def resampled(values: Sequence[float], **more: object) -> Interval:
    return bootstrap(statistic_of(Sample.of_rows(values)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3."""
    assert [round(bound, 4) for bound in wilson(successes, n)] == [low, high]


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_solves_the_score_equation(counts: tuple[int, int], confidence: float) -> None:
    successes, n = counts
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = wilson(successes, n, confidence)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    for bound in (low, high):
        distance = abs(successes / n - bound)
        assert distance == pytest.approx(z * math.sqrt(max(0.0, bound * (1 - bound)) / n), abs=1e-6)


def test_more_confidence_is_a_wider_interval() -> None:
    narrow, wide = wilson(8, 20, 0.8), wilson(8, 20, 0.99)
    assert wide[0] < narrow[0] < 0.4 < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0000, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_and_pearson_agree_with_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    """The same table, method 5: its two-sided 95 % limits are one-sided bounds at 97.5 %."""
    assert round(clopper_pearson(successes, n, 0.975, "lower"), 4) == low
    assert round(clopper_pearson(successes, n, 0.975, "upper"), 4) == high


@pytest.mark.parametrize("sides", ["rows", "whole set"])
def test_bca_agrees_with_the_textbook(sides: str) -> None:
    """Efron and Tibshirani 1993, tables 14.1 and 14.2: the variance of the spatial test data, BCa at 90 %.

    Theirs is [115.8, 259.6] (2,000 resamples) and ABC's [116.7, 260.9], where the percentile's is [100.8, 233.9].
    """
    data = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
    interval = bootstrap(statistic_of(whole_set(data, pvariance)), confidence=0.9)
    assert pvariance(data) == pytest.approx(171.5, abs=0.05)
    assert interval.low == pytest.approx(116, abs=4)
    assert interval.high == pytest.approx(262, abs=8)
    assert interval.method == "BCa bootstrap"


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_scores_have_an_interval_of_no_width_and_no_warning(n: int, value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for interval in (resampled([value] * n), bootstrap(statistic_of(whole_set([value] * n)))):
            assert [interval.low, interval.high] == pytest.approx([value, value])
            assert interval.method == ("percentile bootstrap" if n > 1 else "one unit")


def test_the_bootstrap_of_a_mean_is_near_its_normal_interval() -> None:
    generator = random.Random(1)
    values = [generator.gauss(10, 2) for _ in range(400)]
    interval, error = resampled(values), pstdev(values) / math.sqrt(len(values))
    assert interval.low == pytest.approx(fmean(values) - 1.96 * error, abs=0.3 * error)
    assert interval.high == pytest.approx(fmean(values) + 1.96 * error, abs=0.3 * error)
    assert interval.error == pytest.approx(error, rel=0.1)


def test_the_bootstrap_of_a_share_is_near_wilsons_interval() -> None:
    interval = resampled([float(index % 4 > 0) for index in range(400)])
    assert (interval.low, interval.high) == pytest.approx(wilson(300, 400), abs=0.012)


def test_rows_and_whole_sets_of_the_same_score_have_the_same_interval() -> None:
    generator = random.Random(2)
    values = [generator.random() for _ in range(60)]
    groups = [str(row // 3) for row in range(60)]
    for given_groups in (None, tuple(groups)):
        rows = Sample.of_rows(values, given_groups)
        whole = Sample(rows.ids, values, fmean, None, given_groups)
        one, other = (bootstrap(statistic_of(sample)) for sample in (rows, whole))
        assert [one.low, one.high] == pytest.approx([other.low, other.high])


def test_the_bootstrap_is_the_same_every_time_and_another_under_another_seed() -> None:
    generator = random.Random(2)
    values = [generator.random() for _ in range(60)]
    assert resampled(values) == resampled(values)
    assert resampled(values, seed=1) != resampled(values, seed=2)


def test_less_confidence_is_a_narrower_bootstrap_interval() -> None:
    generator = random.Random(3)
    values = [generator.random() for _ in range(60)]
    wide, narrow = resampled(values, confidence=0.99), resampled(values, confidence=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_rows_that_are_alike_within_groups_have_a_wider_interval_over_groups() -> None:
    values = [float(row // 10 % 4 > 0) for row in range(200)]  # twenty groups of ten, right or wrong as one
    groups = tuple(str(row // 10) for row in range(200))
    by_rows, by_groups = interval_of(Sample.of_rows(values), SCORE), interval_of(Sample.of_rows(values, groups), SCORE)
    ratio = (by_groups.high - by_groups.low) / (by_rows.high - by_rows.low)
    assert ratio == pytest.approx(math.sqrt(10), rel=0.15)


def test_right_and_wrong_units_have_wilsons_interval_and_groups_of_both_a_bootstraps() -> None:
    values = [float(row % 5 > 0) for row in range(100)]
    found = interval_of(Sample.of_rows(values), ACCURACY)
    assert ((found.low, found.high), found.method) == (wilson(80, 100), "Wilson")
    alone, pairs, tens = ([str(row // size) for row in range(100)] for size in (1, 2, 10))
    assert interval_of(Sample.of_rows(values, alone), ACCURACY) == found
    assert interval_of(Sample.of_rows(sorted(values), tens), SCORE).high == wilson(8, 10)[1]
    assert interval_of(Sample.of_rows(values, pairs), ACCURACY).method == "BCa bootstrap"


def test_a_one_sided_bound_is_the_end_of_the_two_sided_interval_of_twice_the_error() -> None:
    generator = random.Random(4)
    sample = Sample.of_rows([generator.random() for _ in range(80)])
    two_sided = bootstrap(statistic_of(sample), confidence=0.9)
    lower, upper = (bound_of(sample, SCORE, 0.95, side) for side in ("lower", "upper"))
    assert [lower.low, upper.high] == pytest.approx([two_sided.low, two_sided.high])
    assert (lower.high, upper.low) == (math.inf, -math.inf)


@pytest.mark.parametrize("n", [1, 5, 20, 100])
def test_perfect_rows_have_the_exact_bound_whatever_the_metric(n: int) -> None:
    """A bootstrap of constant data claims certainty; a single row would show any goal."""
    sample, exact = Sample.of_rows([1.0] * n), 0.05 ** (1 / n)
    assert bound_of(sample, ACCURACY, 0.95, "lower").low == pytest.approx(exact)
    assert bound_of(sample, SCORE, 0.95, "lower").low == pytest.approx(exact)
    assert unseen(1.0, 0.0, n, 0.95) == pytest.approx(exact)
    lower_is_better = Measure("errors", 0.0, 1.0, higher_is_better=False, proportion=False)
    assert bound_of(Sample.of_rows([0.0] * n), lower_is_better, 0.95, "upper").high == pytest.approx(1 - exact)


def test_a_few_groups_show_no_more_than_as_many_rows() -> None:
    sample = Sample.of_rows([1.0] * 100, [str(row // 25) for row in range(100)])
    assert bound_of(sample, ACCURACY, 0.95, "lower").low == pytest.approx(0.05 ** (1 / 4))


def test_a_metric_without_a_worst_value_has_the_bootstraps_bound_alone_where_rows_differ() -> None:
    endless = Measure("loss", 0.0, math.inf, higher_is_better=False, proportion=False)
    sample = Sample.of_rows([row / 10 for row in range(10)])
    found = bootstrap(statistic_of(sample), confidence=0.95, side="upper").high
    assert bound_of(sample, endless, 0.95, "upper").high == found
    assert bound_of(Sample.of_rows([0.5] * 10), endless, 0.95, "upper").high == math.inf


def test_a_level_beyond_what_the_usual_resamples_resolve_gets_more() -> None:
    assert [resamples_for(confidence) for confidence in (0.95, 0.99, 0.999, 0.9999)] == [1999, 2000, 20_000, 200_000]
    values = [(value * 37 % 101) / 101 for value in range(60)]
    low, lower = (resampled(values, confidence=confidence, side="lower").low for confidence in (0.999, 0.9999))
    assert lower < low  # of 1,999 both would be the least
