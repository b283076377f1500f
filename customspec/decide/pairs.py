"""Two candidates on the same rows: how far apart, how sure, and in words. Every family of pairs is judged together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from math import ceil, inf, log2, sqrt
from statistics import NormalDist
from typing import Any, Literal

from customspec.decide.intervals import Interval, bootstrap, clopper_pearson, held, wilson
from customspec.decide.power import POWER, share_showing
from customspec.decide.randomization import FLIPS, SLOW_FLIPS, flips_for, randomization
from customspec.decide.samples import (
    Measure,
    Sample,
    Statistic,
    mean_of,
    score_of,
    shared,
    statistic_of,
    units_of,
)

Verdict = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What two candidates' shared rows say: the first less the second, as better or worse as the metric's direction.

    `p` is the pair's own two-sided p value, `p_holm` the same adjusted for the family; the verdict goes by that.
    `ci` is the interval of this pair alone. `smallest` is the difference that such rows show four times in five at the
    level that the family's first step asks; None where no difference could be shown, and where it cannot be told.
    """

    first: str
    second: str
    verdict: Verdict
    difference: float
    ci: tuple[float, float]
    p: float
    p_holm: float
    n: int
    smallest: float | None
    test: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__} | {"ci": list(self.ci)}


def compare_all(
    samples: Mapping[str, Sample],
    measure: Measure,
    confidence: float,
    named: Iterable[tuple[str, str]] | None = None,
) -> list[Pair]:
    """The named pairs of candidates, else every pair, that share rows, as one family: Holm (1979) over the p values."""
    pairs_of = combinations(samples, 2) if named is None else named
    couples = [(one, other, *shared(samples[one], samples[other])) for one, other in pairs_of]
    couples = [couple for couple in couples if couple[2].n]
    flips = flips_for(len(couples), confidence)
    tested = [p_value(first, second, measure, flips) for _, _, first, second in couples]
    adjusted = holm([p for p, _ in tested])
    pairs = []
    for (one, other, first, second), (p, test), p_holm in zip(couples, tested, adjusted, strict=True):
        difference = first.value - second.value
        interval = difference_interval(first, second, measure, confidence)
        pairs.append(
            Pair(
                first=one,
                second=other,
                verdict=_verdict(difference, p_holm, measure, confidence),
                difference=difference,
                ci=(interval.low, interval.high),
                p=p,
                p_holm=p_holm,
                n=first.n,
                smallest=_smallest(first, measure, interval.error, (1 - confidence) / len(couples)),
                test=test,
            )
        )
    return pairs


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down adjusted p values (Holm 1979): at most `alpha` of families with no true difference have one below."""
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - step) * p_values[index]))
        adjusted[index] = reached
    return adjusted


@lru_cache(maxsize=65_536)
def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided McNemar test: the rows that one alone has right are a fair coin's, if both are as good."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def newcombe(both: int, only_first: int, only_second: int, neither: int, confidence: float) -> tuple[float, float]:
    """The interval for the difference of two proportions of the same rows (Newcombe 1998, Stat. Med. 17:2635-2650).

    His method 10: Wilson's intervals of both, put together by their correlation phi, which is corrected for continuity.
    """
    n = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    (low_1, high_1), (low_2, high_2) = wilson(first, n, confidence), wilson(second, n, confidence)
    p_1, p_2 = first / n, second / n
    margins = first * (n - first) * second * (n - second)
    cross = both * neither - only_first * only_second
    corrected = max(cross - n / 2, 0) if cross > 0 else cross
    phi = corrected / sqrt(margins) if margins else 0.0

    def reach(one: float, other: float) -> float:
        return sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))  # never below 0 but for rounding

    difference = p_1 - p_2
    return difference - reach(p_1 - low_1, high_2 - p_2), difference + reach(high_1 - p_1, p_2 - low_2)


@lru_cache(maxsize=65_536)
def upper_bound(only_first: int, only_second: int, n: int, confidence: float) -> float:
    """The one-sided upper bound of the first proportion less the second, of the same n rows: Tango's.

    Where the second has no row alone, it is not below the exact bound of what the first has alone (Clopper and Pearson
    1934): there Tango's is Wilson's, which errs too often for some n.
    """
    bound = tango(only_first, only_second, n, confidence)
    return bound if only_second else max(bound, clopper_pearson(only_first, n, confidence, "upper"))


def tango(only_first: int, only_second: int, n: int, confidence: float) -> float:
    """The upper bound that is the score test's dual (Tango 1998, Stat. Med. 17:891-908); from 0.5 `confidence` on.

    Its variance is that of the difference in question, not of the estimate, so that it holds where few rows differ.
    """
    from scipy.optimize import brentq

    z = NormalDist().inv_cdf(confidence)
    found = only_first - only_second

    def too_far(difference: float) -> float:
        a, b = 2 * n, (2 * n - found) * difference - only_first - only_second
        root = sqrt(max(b * b + 4 * a * only_second * difference * (1 - difference), 0.0))  # below 0 by rounding
        others = max(root - b, 0.0) / (2 * a)  # the likeliest share that the second alone has right
        variance = n * (2 * others + difference * (1 - difference))
        return found - n * difference + z * sqrt(max(variance, 0.0))

    least = found / n + 1e-9  # at the estimate itself the variance can be 0
    return float(brentq(too_far, least, 1.0)) if found < n and too_far(least) > 0 else found / n


def p_value(first: Sample, second: Sample, measure: Measure, flips: int = FLIPS) -> tuple[float, str]:
    """The two-sided p value of no difference, by at most so many random flips, and the test's name."""
    if measure.proportion and first.groups is None:
        table = table_of(first, second)
        return mcnemar(table[1], table[2]), "exact McNemar"
    if first.rows is not None and second.rows is not None:
        return _flip_signs([a - b for a, b in zip(first.rows, second.rows, strict=True)], first.groups, flips)
    return (_swap_records if first.totals is None else _swap_parts)(first, second, flips)


def difference_interval(
    first: Sample,
    second: Sample,
    measure: Measure,
    confidence: float,
    side: Literal["two-sided", "upper"] = "two-sided",
) -> Interval:
    """The interval of the first less the second, or its upper bound alone; with the difference's standard error.

    For right and wrong rows Newcombe's interval and Tango's bound; else a bootstrap over rows or groups.
    An upper bound is `held`, so that a few rows without any difference do not show all.
    """
    found = _difference_interval(first, second, measure, confidence, side)
    if side == "two-sided":
        return found
    lost, reach = first.value - second.value, measure.range
    high = held(found.high, lost, reach, first.units, confidence, found.error, "upper")
    return Interval(found.low, high, found.method, found.error)


def _difference_interval(
    first: Sample, second: Sample, measure: Measure, confidence: float, side: Literal["two-sided", "upper"]
) -> Interval:
    if measure.proportion and first.groups is None:
        table = table_of(first, second)
        n, discordant, difference = first.n, table[1] + table[2], (table[1] - table[2]) / first.n
        error = sqrt(max(discordant / n - difference**2, 0.0) / n)
        if side == "two-sided":
            return Interval(*newcombe(*table, confidence), "Newcombe", error)
        return Interval(-inf, upper_bound(table[1], table[2], n, confidence), "Tango", error)
    return bootstrap(_difference_of(first, second), confidence=confidence, side=side)


def table_of(first: Sample, second: Sample) -> tuple[int, int, int, int]:
    """Rows that both, only the first, only the second, neither has right."""
    import numpy as np

    one, other = np.asarray(first.rows) > 0.5, np.asarray(second.rows) > 0.5
    both, right_1, right_2 = int((one & other).sum()), int(one.sum()), int(other.sum())
    return both, right_1 - both, right_2 - both, first.n - right_1 - right_2 + both


def _difference_of(first: Sample, second: Sample) -> Statistic:
    if first.rows is not None and second.rows is not None:
        return mean_of([a - b for a, b in zip(first.rows, second.rows, strict=True)], first.groups)
    if first.totals is not None and second.totals is not None:
        ours, theirs = statistic_of(first), statistic_of(second)
        return Statistic(ours.count, lambda drawn: ours.of(drawn) - theirs.of(drawn))

    def difference(drawn: Sequence[int]) -> float:
        return first.score([first.records[row] for row in drawn]) - second.score([second.records[row] for row in drawn])

    return score_of(difference, first.n, first.groups)


def _flip_signs(differences: Sequence[float], groups: Sequence[str] | None, flips: int) -> tuple[float, str]:
    """Each row's or group's difference changes its sign by a coin."""
    import numpy as np

    sums = np.asarray(differences, dtype=np.float64)
    if groups is not None:
        sums = np.array([sums[rows].sum() for rows in units_of(groups)])
    sums = sums[sums != 0]  # a unit without a difference flips to itself
    whole = float(sums.sum())
    return randomization(len(sums), lambda coins: whole - 2 * (coins @ sums), whole, FLIPS, flips)


def _swap_parts(first: Sample, second: Sample, flips: int) -> tuple[float, str]:
    """Where totals decide the score: each unit's two answers change places by a coin, all flips at once."""
    assert first.totals is not None
    both = first.totals([*first.records, *second.records])  # together, so that their parts mean the same
    one, other = (
        replace(both, parts=part).by_unit(first.groups) for part in (both.parts[: first.n], both.parts[first.n :])
    )
    moved, ours, theirs = other - one, one.sum(axis=0), other.sum(axis=0)

    def differences(coins: Any) -> Any:
        change = coins @ moved
        return both.score(ours + change) - both.score(theirs - change)

    return randomization(len(one), differences, first.value - second.value, FLIPS, flips)


def _swap_records(first: Sample, second: Sample, flips: int) -> tuple[float, str]:
    """The same where only whole sets have a score: one flip after another."""
    import numpy as np

    members = [[row] for row in range(first.n)] if first.groups is None else units_of(first.groups)
    pairs = list(zip(first.records, second.records, strict=True))

    def difference(swapped: Sequence[bool]) -> float:
        turned = {row for unit, swap in zip(members, swapped, strict=True) if swap for row in unit}
        sides = zip(*(pair[::-1] if row in turned else pair for row, pair in enumerate(pairs)), strict=True)
        one, other = (first.score(list(side)) for side in sides)
        return one - other

    def differences(coins: Any) -> Any:
        return np.array([difference(swapped) for swapped in coins.tolist()])

    return randomization(len(members), differences, first.value - second.value, SLOW_FLIPS, flips)


def _verdict(difference: float, p: float, measure: Measure, confidence: float) -> Verdict:
    if p > 1 - confidence or difference == 0:
        return "not distinguishable"
    return "better" if (difference > 0) == measure.higher_is_better else "worse"


def _smallest(sample: Sample, measure: Measure, error: float | None, alpha: float) -> float | None:
    """Two-sided at `alpha`: by the normal approximation, and for right and wrong rows never less than what the exact
    test shows so often where all rows that differ do so to one side.

    Without any difference seen the error is 0, and only the exact test's need can tell: None for other scores.
    """
    normal = NormalDist()
    needed = ceil(1 + log2(1 / alpha))  # units, all to one side: 2 * 0.5^needed <= alpha
    if needed > sample.units:
        return None
    by_error = (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)) * (error or 0.0)
    exact = measure.proportion and sample.groups is None  # then each row that differs counts 1
    return max(by_error, share_showing(needed, sample.n)) if exact else by_error or None
