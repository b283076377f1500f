"""A metric: the share of answers that begin with the right letter."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options

CUSTOMSPEC_CONTRACT = 1


class FirstLetter:
    """Equality of the first characters."""

    name = "first_letter"
    summary = "Share of answers whose first character is the reference's."
    task: Literal["any"] = "any"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def rows(self, options: Options, answers: Sequence[Answer]) -> Sequence[float]:
        return [float(answer.prediction[:1] == answer.reference[:1]) for answer in answers]

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [FirstLetter()]
