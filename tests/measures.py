"""Metrics as the tests of `decide` see them: right or wrong, a score of each row, one of which less is better, and a
score of whole sets; and the rows of a table of two candidates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from customspec.decide.samples import Measure, Sample

ACCURACY = Measure("accuracy", 0.0, 1.0, higher_is_better=True, proportion=True)
SCORE = Measure("score", 0.0, 1.0, higher_is_better=True, proportion=False)
ERRORS = Measure("errors", 0.0, 1.0, higher_is_better=False, proportion=True)


def macro(records: Sequence[float]) -> float:
    """A score that no mean of the rows' own scores is."""
    return fmean(records) ** 2


def of_table(both: int, only_first: int, only_second: int, neither: int) -> tuple[Sample, Sample]:
    """Two candidates' rows with these counts."""
    first = [1.0] * (both + only_first) + [0.0] * (only_second + neither)
    second = [1.0] * both + [0.0] * only_first + [1.0] * only_second + [0.0] * neither
    return Sample.of_rows(first), Sample.of_rows(second)
