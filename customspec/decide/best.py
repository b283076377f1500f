"""Without a goal: which candidates are shown to lose less than a margin to the best of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf, isfinite
from statistics import NormalDist
from typing import Any

from customspec.decide.pairs import difference_interval
from customspec.decide.power import POWER, fewest_rows
from customspec.decide.samples import Measure, Sample, shared


@dataclass(frozen=True, slots=True)
class Loss:
    """How far a candidate's estimate lies behind the best one, and how far behind the best of all it can truly lie."""

    value: float
    bound: float
    margin: float
    confidence: float
    n: int
    shown: bool
    rows_needed: int | None
    """Rows that would show it four times in five, if the estimates are the truth; None where it is shown, or where
    the estimates say that the loss is no smaller than the margin."""

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return fields | {"bound": self.bound if isfinite(self.bound) else None}


def losses(samples: Mapping[str, Sample], measure: Measure, margin: float, confidence: float) -> dict[str, Loss]:
    """Each candidate's loss to the best of all, all bounds holding at once with `confidence`.

    Multiple comparisons with the best (Hsu 1984, Ann. Stat. 12:1136-1144), with Bonferroni's level, (1 - confidence) /
    (candidates - 1), in the place of Dunnett's: the bounds hold together whenever the one-sided bounds against the
    candidate that truly is the best hold, whichever that is. So any choice among them may look at all of them first.
    """
    return {key: _loss(key, samples, measure, margin, confidence) for key in samples}


def _loss(key: str, samples: Mapping[str, Sample], measure: Measure, margin: float, confidence: float) -> Loss:
    level = 1 - (1 - confidence) / max(len(samples) - 1, 1)
    value = bound = 0.0
    needed: float = 0
    n = samples[key].n
    for other, sample in samples.items():
        if other == key:
            continue
        theirs, ours = shared(sample, samples[key])
        if not ours.n:
            bound = needed = inf
            continue
        better, worse = (theirs, ours) if measure.higher_is_better else (ours, theirs)
        lost = better.value - worse.value
        interval = difference_interval(better, worse, measure, level, "upper")
        value, bound, n = max(value, lost), max(bound, interval.high), min(n, ours.n)
        if interval.high >= margin:
            needed = max(needed, _rows_needed(ours, margin - lost, measure.range - lost, interval.error, level))
    shown = bound < margin
    rows = None if shown or needed == inf else int(needed)
    return Loss(value, bound, margin, confidence, n, shown, rows)


def _rows_needed(sample: Sample, gap: float, worst: float, error: float | None, level: float) -> float:
    """Rows at which the bound lies within the gap with 80 % power: errors shrink with the root of the rows.

    `worst` is how much further than the estimate the loss could lie: what may have stayed unseen must fit the gap too.
    """
    if gap <= 0:
        return inf
    normal = NormalDist()
    by_error = sample.n * ((normal.inv_cdf(level) + normal.inv_cdf(POWER)) * (error or 0.0) / gap) ** 2
    unseen = fewest_rows(1 - gap / worst, level) if gap < worst < inf else 1
    return max(ceil(by_error), ceil((unseen or 1) * sample.n / sample.units), sample.n + 1)
