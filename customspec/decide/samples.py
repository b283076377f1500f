"""What a candidate's answers to one split's rows are worth, and how they are drawn again: by rows or by groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from customspec.hookspecs import Metric, ScoresRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Draws = NDArray[np.int64]
    Numbers = NDArray[np.float64]

MARGIN = 0.02  # of a metric's range


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric, as far as statistics ask. `proportion`: every row is right (1) or wrong (0), the metric their mean.
    `mean`: it is the mean of a number per row, which macro F1, for instance, is not."""

    name: str
    lowest: float
    highest: float
    higher_is_better: bool
    proportion: bool
    mean: bool = True

    @classmethod
    def of(cls, metric: Metric, name: str) -> Measure:
        """A metric under the name by which it is reported."""
        lowest, highest = float(metric.lowest), float(metric.highest)
        mean = metric.proportion or isinstance(metric, ScoresRows)
        return cls(name, lowest, highest, metric.higher_is_better, metric.proportion, mean)

    @property
    def range(self) -> float:
        return self.highest - self.lowest

    @property
    def default_margin(self) -> float:
        """The loss that counts as none where the spec names no margin: a fiftieth of the metric's range, two points of
        accuracy or of BLEU."""
        return MARGIN * self.range if isfinite(self.range) else MARGIN


@dataclass(frozen=True, slots=True)
class Totals:
    """A score that only the totals of rows' parts decide: `parts` (rows, k), `score` of totals (…, k) -> (…)."""

    parts: Numbers
    score: Callable[[Numbers], Numbers]

    def by_unit(self, groups: Sequence[str] | None) -> Numbers:
        """The parts of each group, where there are groups."""
        import numpy as np

        return self.parts if groups is None else np.array([self.parts[rows].sum(axis=0) for rows in units_of(groups)])


@dataclass(frozen=True)
class Sample:
    """One candidate's answers to one split's rows.

    `rows` has each row's own score where the metric is their mean; `totals` makes the parts of records where totals of
    them decide; else only `score`, of any rows' records, is known.
    """

    ids: tuple[str, ...]
    records: Sequence[Any]
    score: Callable[[Sequence[Any]], float]
    rows: Sequence[float] | None = None
    groups: tuple[str, ...] | None = None
    totals: Callable[[Sequence[Any]], Totals] | None = None

    @classmethod
    def of_rows(cls, rows: Sequence[float], groups: Sequence[str] | None = None) -> Sample:
        """A sample of which only the rows' scores are known."""
        ids = tuple(map(str, range(len(rows))))
        return cls(ids, rows, fmean, rows, None if groups is None else tuple(groups))

    @property
    def n(self) -> int:
        return len(self.ids)

    @cached_property
    def value(self) -> float:
        return float(self.score(self.records) if self.rows is None else fmean(self.rows))

    @cached_property
    def units(self) -> int:
        """How many independent draws the rows are: the groups, where there are groups."""
        return self.n if self.groups is None else len(set(self.groups))

    def at(self, positions: Sequence[int]) -> Sample:
        """The same for some of the rows."""

        def pick(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[position] for position in positions)

        return Sample(
            pick(self.ids),
            pick(self.records),
            self.score,
            None if self.rows is None else pick(self.rows),
            None if self.groups is None else pick(self.groups),
            self.totals,
        )


def shared(first: Sample, second: Sample) -> tuple[Sample, Sample]:
    """Both on the rows that both answered, in one order: a row too long for one prompt may fit the other."""
    if first.ids == second.ids:
        return first, second
    there = {id: position for position, id in enumerate(second.ids)}
    mine = [position for position, id in enumerate(first.ids) if id in there]
    return first.at(mine), second.at([there[first.ids[position]] for position in mine])


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number of `count` units, to be computed for many draws of units at once: (…, drawn) positions -> (…)."""

    count: int
    of: Callable[[Draws], Numbers]

    @property
    def value(self) -> float:
        import numpy as np

        return float(self.of(np.arange(self.count)))


def mean_of(values: Sequence[float], groups: Sequence[str] | None) -> Statistic:
    """The mean of the drawn rows, or of all rows of the drawn groups."""
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    if groups is None:
        return Statistic(len(numbers), lambda drawn: numbers[drawn].mean(axis=-1))
    members = units_of(groups)
    sums = np.array([numbers[rows].sum() for rows in members])
    sizes = np.array([len(rows) for rows in members])
    return Statistic(len(members), lambda drawn: sums[drawn].sum(axis=-1) / sizes[drawn].sum(axis=-1))


def total_of(totals: Totals, groups: Sequence[str] | None) -> Statistic:
    """The score of the drawn rows or groups, by how often each was drawn."""
    import numpy as np

    parts = totals.by_unit(groups)
    units = len(parts)

    def of(drawn: Draws) -> Numbers:
        flat = drawn.reshape(-1, drawn.shape[-1])
        places = flat + units * np.arange(len(flat))[:, np.newaxis]
        times = np.bincount(places.ravel(), minlength=units * len(flat)).reshape(len(flat), units)
        return totals.score(times @ parts).reshape(drawn.shape[:-1])

    return Statistic(units, of)


def score_of(score: Callable[[Sequence[int]], float], n: int, groups: Sequence[str] | None) -> Statistic:
    """A score of the drawn rows' positions, where only whole sets have one."""
    import numpy as np

    members = [[row] for row in range(n)] if groups is None else units_of(groups)

    def of_one(drawn: Draws) -> float:
        return score([row for unit in drawn.tolist() for row in members[unit]])

    return Statistic(len(members), lambda drawn: np.apply_along_axis(of_one, -1, drawn))


def statistic_of(sample: Sample) -> Statistic:
    """The metric, of drawn rows or groups."""
    if sample.rows is not None:
        return mean_of(sample.rows, sample.groups)
    if sample.totals is not None:
        return total_of(sample.totals(sample.records), sample.groups)
    return score_of(lambda drawn: sample.score([sample.records[row] for row in drawn]), sample.n, sample.groups)


def units_of(groups: Iterable[Hashable]) -> list[list[int]]:
    """The rows of each group, in the order in which the groups appear."""
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        rows[group].append(row)
    return list(rows.values())
