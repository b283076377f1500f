"""Accuracy: the share of predictions that equal the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import Metric, hookimpl


class Accuracy:
    """The share of rows whose predicted choice is the right one."""

    name = "accuracy"
    summary = "Share of rows whose predicted choice is the right one."
    task: Literal["classification"] = "classification"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        pairs = zip(predictions, references, strict=True)
        return sum(prediction == reference for prediction, reference in pairs) / len(references)


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [Accuracy()]
