"""The one claim: that the chosen candidate meets the goal, by its answers to the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isclose, isfinite
from statistics import NormalDist
from typing import Any

from customspec.decide.intervals import Interval, bound_of
from customspec.decide.power import POWER, fewest_rows, goal_share, rows_for_power, share_of
from customspec.decide.samples import Measure, Sample
from customspec.spec import Goal


@dataclass(frozen=True, slots=True)
class PlannedClaim:
    """The claim that a run will make: the goal, the confidence of its one test, and how many units it will draw on."""

    measure: Measure
    goal: Goal
    confidence: float
    rows: int
    counted: str = "rows"
    """`rows`, or `groups` where `data.group` is given."""
    choosing: bool = False
    """Whether the test rows choose among several candidates too, so that the claim shares its level among them."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One one-sided test: the bound of the metric at `confidence` against the goal's threshold."""

    value: float
    bound: float
    """Infinite where the rows leave none: a metric without a worst value, and all rows alike, or very few."""
    confidence: float
    n: int
    method: str
    shown: bool
    rows_needed: int | None
    """Rows that would show the goal four times in five, if the estimate is the truth; None where it is shown, where
    these rows do not tell, or where the estimate does not lie beyond the threshold, so that no number of rows would."""

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return fields | {"bound": self.bound if isfinite(self.bound) else None}


def level_of(confidence: float, looks: int) -> float:
    """The level of one claim, when any of `looks` candidates could have been chosen by the test rows: Bonferroni."""
    return 1 - (1 - confidence) / looks


def claim(sample: Sample, measure: Measure, goal: Goal, confidence: float, *, looks: int = 1) -> Claim:
    """The claim. `looks` is how many candidates could have been chosen by these very rows; see `level_of`."""
    at_least = goal.at_least is not None
    level = level_of(confidence, looks)
    found = bound_of(sample, measure, level, "lower" if at_least else "upper")
    bound = found.low if at_least else found.high
    # a bootstrap's bound is one of few values, often the threshold itself, which it must pass
    passes = found.error is None or not isclose(bound, goal.threshold)
    shown = goal.reached_by(bound) and passes
    needed = None if shown else _rows_needed(sample, measure, goal, found, level)
    return Claim(sample.value, bound, level, sample.n, found.method, shown, needed)


def _rows_needed(sample: Sample, measure: Measure, goal: Goal, found: Interval, level: float) -> int | None:
    gap = sample.value - goal.threshold if goal.at_least is not None else goal.threshold - sample.value
    share = goal_share(goal, measure)
    if gap <= 0 or (found.low == -inf and found.high == inf):
        return None
    if found.error is None:
        return _by_exact_test(sample, measure, goal, level)
    normal = NormalDist()
    needed = ceil(sample.n * ((normal.inv_cdf(level) + normal.inv_cdf(POWER)) * found.error / gap) ** 2)
    if share is not None:
        # however alike the rows: as many as could show it if each scored like their mean
        true = share_of(sample.value, measure, at_least=goal.at_least is not None)
        fewest = fewest_rows(share / true, level) if true else None
        needed = max(needed, ceil((fewest or 0) * sample.n / sample.units))
    return max(needed, sample.n + 1)


def _by_exact_test(sample: Sample, measure: Measure, goal: Goal, level: float) -> int | None:
    at_least = goal.at_least is not None
    share, true = goal_share(goal, measure), share_of(sample.value, measure, at_least=at_least)
    assert share is not None
    assert true is not None
    needed = rows_for_power(share, true, level)
    return None if needed is None else max(ceil(needed * sample.n / sample.units), sample.n + 1)
