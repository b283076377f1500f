"""Accuracy: the share of predictions that equal the reference."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options


class Accuracy:
    """The share of rows whose predicted choice is the right one."""

    name = "accuracy"
    summary = "Share of rows whose predicted choice is the right one; 0 to 1."
    task: Literal["classification"] = "classification"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def rows(self, options: Options, answers: Sequence[Answer]) -> Sequence[float]:
        return [float(answer.prediction == answer.reference) for answer in answers]

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [Accuracy()]
