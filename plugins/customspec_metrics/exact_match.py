"""Exact match: the share of answers that equal the reference but for case and white space."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options


class ExactMatch:
    """Equality after casefolding and joining runs of white space."""

    name = "exact_match"
    summary = "Share of answers that equal the reference, but for case and white space; 0 to 1."
    task: Literal["any"] = "any"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def rows(self, options: Options, answers: Sequence[Answer]) -> Sequence[float]:
        return [float(_plain(answer.prediction) == _plain(answer.reference)) for answer in answers]

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [ExactMatch()]
