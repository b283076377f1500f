"""Exact match: the share of answers that equal the reference but for case and white space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import Metric, hookimpl


class ExactMatch:
    """Equality after casefolding and joining runs of white space."""

    name = "exact_match"
    summary = "Share of answers that equal the reference, but for case and white space."
    task: Literal["any"] = "any"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        pairs = zip(predictions, references, strict=True)
        return sum(_plain(prediction) == _plain(reference) for prediction, reference in pairs) / len(references)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [ExactMatch()]
