"""Intervals: Wilson's against published examples, the bootstrap against theory."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from statistics import NormalDist, fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.decide.statistics import bootstrap, wilson


def share(pairs: Sequence[tuple[str, str]]) -> float:
    return fmean(one == other for one, other in pairs)


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


@pytest.mark.parametrize("n", [1, 2, 30])
def test_constant_scores_have_an_interval_of_no_width_and_no_warning(n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bootstrap(share, [("a", "a")] * n) == (1.0, 1.0)
        assert bootstrap(share, [("a", "b")] * n) == (0.0, 0.0)


def test_the_bootstrap_of_a_mean_is_near_its_normal_interval() -> None:
    generator = random.Random(1)
    values = [generator.gauss(10, 2) for _ in range(400)]
    low, high = bootstrap(fmean, values)
    error = pstdev(values) / math.sqrt(len(values))
    assert low == pytest.approx(fmean(values) - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(fmean(values) + 1.96 * error, abs=0.3 * error)


def test_the_bootstrap_of_a_share_is_near_wilsons_interval() -> None:
    right = [index % 4 > 0 for index in range(400)]
    assert bootstrap(fmean, right) == pytest.approx(wilson(300, 400), abs=0.012)


def test_the_bootstrap_draws_a_prediction_with_its_own_reference() -> None:
    assert bootstrap(share, [(str(number), str(number)) for number in range(50)]) == (1.0, 1.0)


def test_the_bootstrap_is_the_same_every_time_and_another_under_another_seed() -> None:
    generator = random.Random(2)
    values = [generator.random() for _ in range(60)]
    assert bootstrap(fmean, values) == bootstrap(fmean, values)
    assert bootstrap(fmean, values, seed=1) != bootstrap(fmean, values, seed=2)


def test_less_confidence_is_a_narrower_bootstrap_interval() -> None:
    generator = random.Random(3)
    values = [generator.random() for _ in range(60)]
    wide, narrow = bootstrap(fmean, values, confidence=0.99), bootstrap(fmean, values, confidence=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
