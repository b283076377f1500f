"""Macro F1: the unweighted mean of each choice's F1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import Metric, hookimpl


class MacroF1:
    """Over the choices that occur in the references or the predictions, as scikit-learn counts."""

    name = "macro_f1"
    summary = "Unweighted mean over the choices of the harmonic mean of precision and recall."
    task: Literal["classification"] = "classification"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = False

    def score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(list(references), list(predictions), average="macro", zero_division=0.0))


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [MacroF1()]
