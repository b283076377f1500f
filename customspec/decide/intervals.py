"""Intervals for a metric, two-sided to report it and one-sided to claim it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, isfinite
from typing import Literal

from customspec.decide.samples import Measure, Sample, Statistic, statistic_of, units_of

CONFIDENCE = 0.95  # of the intervals beside every metric
RESAMPLES = 1999  # at least
BATCH = 2**21  # positions held at once

Side = Literal["two-sided", "lower", "upper"]


@dataclass(frozen=True, slots=True)
class Interval:
    """What the data leave possible, by which method, with the statistic's standard error where one was estimated."""

    low: float
    high: float
    method: str
    error: float | None = None


@lru_cache(maxsize=65_536)
def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), two-sided, without continuity correction."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


@lru_cache(maxsize=65_536)
def clopper_pearson(successes: int, n: int, confidence: float, side: Literal["lower", "upper"]) -> float:
    """The exact one-sided bound of a proportion (Clopper and Pearson 1934): the dual of the exact binomial test.

    Whatever the true proportion and n, it errs in at most 1 - `confidence` of all samples. Wilson's and the mid-p
    bound are nearer to that share on average and exceed it for some n; a claim must not (`benchmarks/decision.py`).
    """
    from scipy.stats import binomtest

    alternative = "greater" if side == "lower" else "less"
    interval = binomtest(successes, n, alternative=alternative).proportion_ci(confidence, method="exact")
    return float(interval.low if side == "lower" else interval.high)


def bootstrap(
    statistic: Statistic, *, confidence: float = CONFIDENCE, side: Side = "two-sided", seed: int = 0
) -> Interval:
    """BCa bootstrap over the statistic's units (Efron 1987); percentile where BCa is not defined.

    BCa is not defined where every resample lies on one side of the estimate, or where leaving out a unit never
    changes it. Constant data, and a single unit, give an interval of no width. A bound's other side is infinite.
    """
    if statistic.count == 1:
        return Interval(statistic.value, statistic.value, "one unit", 0.0)
    interval = _bootstrap(statistic, "BCa", confidence, side, seed)
    constant = (interval.error or 0.0) <= 1e-12 * max(1.0, abs(statistic.value))  # but for rounding
    if not constant and (isfinite(interval.low) or isfinite(interval.high)):
        return interval
    interval = _bootstrap(statistic, "percentile", confidence, side, seed)
    return replace(interval, error=0.0) if constant else interval


def _bootstrap(
    statistic: Statistic, method: Literal["BCa", "percentile"], confidence: float, side: Side, seed: int
) -> Interval:
    import numpy as np
    from scipy import stats

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # the caller turns to the percentile method
        result = stats.bootstrap(
            (np.arange(statistic.count),),
            lambda drawn, axis: statistic.of(np.moveaxis(drawn, axis, -1)),
            vectorized=True,
            n_resamples=resamples_for(confidence),
            batch=max(1, BATCH // statistic.count),
            confidence_level=confidence,
            alternative={"two-sided": "two-sided", "lower": "greater", "upper": "less"}[side],
            method=method,
            rng=np.random.default_rng(seed),
        )
    low, high = (float(end) for end in result.confidence_interval)
    return Interval(low, high, f"{method} bootstrap", float(result.standard_error))


def resamples_for(confidence: float) -> int:
    """So many that twenty lie beyond the level, a bound's whole error or both halves of an interval's."""
    return max(RESAMPLES, ceil(round(20 / (1 - confidence), 6)))


def interval_of(sample: Sample, measure: Measure, confidence: float = CONFIDENCE) -> Interval:
    """The two-sided interval of a metric: Wilson's where every unit is as good or as bad as can be, as right and wrong
    rows are; else a bootstrap over rows or groups."""
    best = _at_best(sample, measure)
    if best is not None:
        low, high = (measure.lowest + measure.range * share for share in wilson(best, sample.units, confidence))
        return Interval(low, high, "Wilson")
    return bootstrap(statistic_of(sample), confidence=confidence)


def bound_of(sample: Sample, measure: Measure, confidence: float, side: Literal["lower", "upper"]) -> Interval:
    """The one-sided bound of a metric that a claim rests on; only that end of the interval is finite, if any.

    Exact where every unit is as good or as bad as can be, right and wrong rows among them; else a bootstrap bound that
    is never beyond `held`.
    """
    best = _at_best(sample, measure)
    if best is not None:
        share = clopper_pearson(best, sample.units, confidence, side)
        return _one_end(measure.lowest + measure.range * share, side, "Clopper-Pearson", None)
    found = bootstrap(statistic_of(sample), confidence=confidence, side=side)
    reached, extreme = (found.low, measure.lowest) if side == "lower" else (found.high, measure.highest)
    bound = held(reached, sample.value, extreme, sample.units, confidence, found.error, side)
    return _one_end(bound, side, found.method, found.error)


def _at_best(sample: Sample, measure: Measure) -> int | None:
    """How many units have the metric's highest value, where each has that or the lowest and all weigh alike; else
    None."""
    if sample.rows is None or not set(sample.rows) <= {measure.lowest, measure.highest}:
        return None
    if sample.groups is None:
        return sum(row == measure.highest for row in sample.rows)
    units = [[sample.rows[row] for row in unit] for unit in units_of(sample.groups)]
    alike = len(set(map(len, units))) == 1 and all(len(set(unit)) == 1 for unit in units)
    return sum(unit[0] == measure.highest for unit in units) if alike else None


def held(
    bound: float,
    value: float,
    extreme: float,
    units: int,
    confidence: float,
    error: float | None,
    side: Literal["lower", "upper"],
) -> float:
    """A bootstrap's bound, or one farther out, towards the `extreme` of the range: what units that were not drawn leave
    open.

    Where the range has no end, nothing limits them: then there is no bound (an infinite one) of units that are all
    alike, nor of so few that all can lie on one side of the middle by chance.
    """
    if isfinite(extreme):
        far = unseen(value, extreme, units, confidence)
    else:
        far = value if error and 0.5**units <= 1 - confidence else extreme
    return min(bound, far) if side == "lower" else max(bound, far)


def unseen(value: float, extreme: float, units: int, confidence: float) -> float:
    """The mean when the largest share of units that can have stayed unseen lies at the extreme, a finite one.

    A kind of unit with share 1 - (1 - confidence)^(1/units) is missing from a sample that often by chance. So no bound
    that holds for every distribution on the metric's range can pass this one on constant data, where a bootstrap sees
    no variance at all. For right answers alone it is Clopper and Pearson's bound.
    """
    kept: float = (1 - confidence) ** (1 / units)
    return extreme + (value - extreme) * kept


def _one_end(bound: float, side: Literal["lower", "upper"], method: str, error: float | None) -> Interval:
    low, high = (bound, float("inf")) if side == "lower" else (float("-inf"), bound)
    return Interval(low, high, method, error)
