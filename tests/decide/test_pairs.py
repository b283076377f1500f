"""Two candidates on the same rows: the tests and intervals against published examples, the verdicts against theory."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measures import ACCURACY, ERRORS, SCORE, macro, of_table
from scipy.stats import binom

from customspec.decide.pairs import Pair, compare_all, difference_interval, holm, mcnemar, newcombe, p_value, table_of
from customspec.decide.samples import Measure, Sample, Totals, shared


def pair_of(first: Sample, second: Sample, measure: Measure = ACCURACY) -> Pair:
    (pair,) = compare_all({"first": first, "second": second}, measure, 0.95)
    return pair


# ------------------------------------------------------------------------------------------------- published examples


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, Stat. Med. 17:2635, table III, method 10
        ((59, 6, 16, 80), -0.1186, -0.0046),  # Cavo et al. 2012, in Fagerland et al. 2017, chapter 8
        ((1, 1, 7, 12), -0.507, -0.026),  # Bentur et al. 2009, ibid.
    ],
)
def test_newcombes_interval_agrees_with_published_examples(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    digits = 3 if low == -0.507 else 4
    assert [round(end, digits) for end in newcombe(*table, 0.95)] == [low, high]


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(12, 2, 0.0129), (1, 7, 0.0703), (6, 16, 0.0525)],
    ids=["Armitage and Berry 1994, p. 127", "Bentur et al. 2009", "Cavo et al. 2012"],
)
def test_mcnemars_exact_test_agrees_with_published_examples(only_first: int, only_second: int, p: float) -> None:
    assert round(mcnemar(only_first, only_second), 4) == p
    assert mcnemar(only_second, only_first) == mcnemar(only_first, only_second)


def test_holm_by_hand() -> None:
    """Holm's steps for four p values: 4 * 0.005, 3 * 0.01, 2 * 0.03, then never below the step before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_sign_flips_agree_with_fishers_example() -> None:
    """Fisher 1935, The Design of Experiments, section 21: Darwin's fifteen pairs of plants.

    Of the 2^15 ways to give signs to the differences, 863 have a sum as large: one tail of 0.02634.
    """
    eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert (
        sum(
            sum(sign * size for sign, size in zip(signs, eighths, strict=True)) >= sum(eighths)
            for signs in itertools.product((1, -1), repeat=len(eighths))
        )
        == 863
    )
    p, test = p_value(Sample.of_rows([float(one) for one in eighths]), Sample.of_rows([0.0] * 15), SCORE)
    assert p == pytest.approx(2 * 863 / 2**15, abs=0.008)  # of 9,999 random flips
    assert test == "randomization, 9999 flips"


# -------------------------------------------------------------------------------------------------------------- theory


@settings(derandomize=True, deadline=None)
@given(st.tuples(*[st.integers(0, 60)] * 4).filter(lambda table: sum(table) > 0), st.floats(0.5, 0.999))
def test_newcombes_interval_holds_the_difference_and_turns_with_the_pair(
    table: tuple[int, int, int, int], confidence: float
) -> None:
    both, only_first, only_second, neither = table
    low, high = newcombe(both, only_first, only_second, neither, confidence)
    difference = (only_first - only_second) / sum(table)
    assert -1 - 1e-9 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1 + 1e-9
    assert newcombe(both, only_second, only_first, neither, confidence) == pytest.approx((-high, -low))


def test_a_few_units_are_flipped_in_every_way() -> None:
    first, second = Sample.of_rows([0.9, 0.8, 0.7, 0.9, 0.5]), Sample.of_rows([0.5, 0.7, 0.4, 0.1, 0.5])
    assert p_value(first, second, SCORE) == (2 / 2**4, "exact randomization")  # the equal row flips to itself


def test_swapping_whole_sets_is_flipping_signs_where_the_score_is_a_mean() -> None:
    generator = random.Random(0)
    first, second = (Sample.of_rows([generator.random() for _ in range(8)]) for _ in range(2))
    whole = [Sample(one.ids, one.records, fmean) for one in (first, second)]
    assert p_value(first, second, SCORE) == p_value(whole[0], whole[1], SCORE)


def test_random_flips_agree_with_scipys() -> None:
    from scipy.stats import permutation_test

    generator = random.Random(1)
    differences = [generator.gauss(0.3, 1) for _ in range(40)]
    p, test = p_value(Sample.of_rows(differences), Sample.of_rows([0.0] * 40), SCORE, flips=40_000)
    theirs = permutation_test((differences,), sum, permutation_type="samples", n_resamples=9999, rng=1)
    assert p == pytest.approx(theirs.pvalue, abs=0.01)
    assert test == "randomization, 9999 flips"  # far from any level that asks for more


def squared(totals: Any) -> Any:
    return (totals[..., 0] / totals[..., 1]) ** 2


def of_totals(values: Sequence[float], groups: Sequence[str] | None = None) -> Sample:
    """Rows whose score is the square of their mean, by totals."""
    import numpy as np

    def totals(records: Sequence[float]) -> Totals:
        return Totals(np.array([(value, 1.0) for value in records]), squared)

    ids = tuple(map(str, range(len(values))))
    return Sample(ids, values, macro, None, None if groups is None else tuple(groups), totals)


@pytest.mark.parametrize("groups", [None, list("aabbbcdefgh")])
def test_a_score_of_totals_is_flipped_and_drawn_as_the_score_of_its_rows(groups: list[str] | None) -> None:
    generator = random.Random(2)
    first, second = (of_totals([generator.random() + shift for _ in range(11)], groups) for shift in (0, 0.2))
    plain, other = replace(first, totals=None), replace(second, totals=None)
    (quick, test), (slow, _) = p_value(first, second, SCORE), p_value(plain, other, SCORE)
    assert quick == pytest.approx(slow)
    assert test == "exact randomization"
    one, same = difference_interval(first, second, SCORE, 0.95), difference_interval(plain, other, SCORE, 0.95)
    assert (one.low, one.high, one.error) == pytest.approx((same.low, same.high, same.error))


@pytest.mark.parametrize(
    ("kind", "candidates", "confidence"), [(Sample.of_rows, 5, 0.999), (of_totals, 12, 0.95), (of_totals, 6, 0.99)]
)
def test_a_clear_difference_is_told_in_a_large_family(kind: Any, candidates: int, confidence: float) -> None:
    generator = random.Random(0)
    rows = [[generator.random() for _ in range(40)] for _ in range(2)]
    samples = {str(index): kind(rows[1]) for index in range(candidates)}
    samples["0"] = kind([value + 2 for value in rows[0]])
    found = compare_all(samples, SCORE, confidence)
    assert len(found) == candidates * (candidates - 1) // 2
    verdicts = {(pair.first, pair.verdict) for pair in found}
    assert ("0", "better") in verdicts
    assert ("0", "not distinguishable") not in verdicts
    assert all(verdict == "not distinguishable" for first, verdict in verdicts if first != "0")


@pytest.mark.parametrize("n", [1, 2, 7])
def test_equal_answers_are_not_distinguishable(n: int) -> None:
    values = [0.5] * n
    for first in (Sample.of_rows(values), Sample(tuple(map(str, range(n))), values, fmean)):
        pair = pair_of(first, first, SCORE)
        assert (pair.verdict, pair.difference, pair.p) == ("not distinguishable", 0.0, 1.0)


def test_the_table_counts_each_row_once() -> None:
    assert table_of(*of_table(5, 4, 3, 2)) == (5, 4, 3, 2)


@pytest.mark.parametrize(("measure", "verdict"), [(ACCURACY, "better"), (ERRORS, "worse")])
def test_a_verdict_follows_the_metrics_direction(measure: Measure, verdict: str) -> None:
    pair = pair_of(*of_table(50, 20, 2, 28), measure)
    assert (pair.verdict, pair.n) == (verdict, 100)
    assert pair.difference == pytest.approx(0.18)
    assert (pair.test, pair.ci) == ("exact McNemar", newcombe(50, 20, 2, 28, 0.95))


def test_a_larger_family_asks_for_more() -> None:
    first, second = of_table(50, 12, 2, 36)
    assert pair_of(first, second).verdict == "better"
    family = compare_all({"first": first, "second": second, "third": second, "fourth": second}, ACCURACY, 0.95)
    found = {(pair.first, pair.second): pair for pair in family}
    assert len(family) == 6
    assert found["first", "second"].p == mcnemar(12, 2)
    assert found["first", "second"].p_holm == pytest.approx(6 * mcnemar(12, 2))
    assert found["first", "second"].verdict == "not distinguishable"


def test_rows_of_one_group_count_once() -> None:
    """Six groups of fifty: as rows an overwhelming difference, as groups the least that can be shown."""
    first, second = [1.0] * 300, [0.0] * 300
    groups = [str(row // 50) for row in range(300)]
    pair = pair_of(Sample.of_rows(first, groups), Sample.of_rows(second, groups))
    assert (pair.p, pair.test) == (2 / 2**6, "exact randomization")
    five = groups[:250]
    pair = pair_of(Sample.of_rows(first[:250], five), Sample.of_rows(second[:250], five))
    assert (pair.p, pair.verdict, pair.smallest) == (2 / 2**5, "not distinguishable", None)


def test_only_rows_that_both_answered_are_compared() -> None:
    first = Sample(("a", "b", "c"), (1.0, 0.0, 1.0), fmean, (1.0, 0.0, 1.0), ("g", "g", "h"))
    second = Sample(("c", "a"), (0.0, 1.0), fmean, (0.0, 1.0), ("h", "g"))
    one, other = shared(first, second)
    assert (one.ids, one.rows, one.groups) == (("a", "c"), (1.0, 1.0), ("g", "h"))
    assert (other.ids, other.rows, other.groups) == (("a", "c"), (1.0, 0.0), ("g", "h"))
    assert pair_of(first, second).n == 2
    apart = Sample(("z",), (1.0,), fmean, (1.0,))
    assert compare_all({"first": first, "apart": apart}, ACCURACY, 0.95) == []


def test_too_few_rows_could_show_no_difference() -> None:
    assert pair_of(*of_table(0, 5, 0, 0)).smallest is None  # 2 / 2^5 is above 0.05
    assert pair_of(*of_table(0, 6, 0, 0)).smallest == pytest.approx(0.8 ** (1 / 6))


@pytest.mark.parametrize("n", [36, 100])
def test_the_smallest_difference_shows_four_times_in_five_where_none_was_seen(n: int) -> None:
    smallest = pair_of(*of_table(n - 2, 1, 1, 0)).smallest
    assert smallest is not None
    assert binom.sf(5, n, smallest) == pytest.approx(0.8, abs=1e-6)  # six rows, all to one side: 2 / 2^6


def test_the_smallest_difference_shrinks_with_the_root_of_the_rows() -> None:
    few, many = (pair_of(*of_table(60 * times, 20 * times, 20 * times, 0)).smallest for times in (1, 16))
    assert few is not None
    assert many == pytest.approx(few / 4)
    assert few == pytest.approx((1.95996 + 0.84162) * (0.4 / 100) ** 0.5, rel=1e-4)
