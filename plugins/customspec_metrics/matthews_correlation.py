"""Matthews correlation: how predictions and references go together, beyond what their frequencies explain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options
from customspec_metrics.confusion import counts, split

if TYPE_CHECKING:
    from customspec_metrics.confusion import Numbers


class MatthewsCorrelation:
    """The multiclass coefficient (Gorodkin 2004, R_K).

    Counted here as scikit-learn counts: its matthews_corrcoef takes 2 ms, and an interval asks some thousand times.
    """

    name = "matthews_correlation"
    summary = (
        "Correlation of predicted and right choices; -1 to 1. For unbalanced data: it is 0 for guessing, for a "
        "constant prediction, and where one choice alone occurs. Matthews 1975; Gorodkin 2004."
    )
    task: Literal["classification"] = "classification"
    lowest = -1.0
    highest = 1.0
    higher_is_better = True
    proportion = False

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        n = len(answers)
        predicted = Counter(answer.prediction for answer in answers)
        true = Counter(answer.reference for answer in answers)
        right = sum(answer.prediction == answer.reference for answer in answers)
        covariance = right * n - sum(count * true[choice] for choice, count in predicted.items())
        # each is n squared times the chance that two drawn rows differ; whole numbers, so that 0 is exact
        spreads = [n * n - sum(count * count for count in counts.values()) for counts in (predicted, true)]
        return covariance / math.sqrt(spreads[0] * spreads[1]) if all(spreads) else 0.0

    def parts(self, options: Options, answers: Sequence[Answer]) -> Numbers:
        return counts(answers)

    def of_totals(self, options: Options, totals: Numbers) -> Numbers:
        import numpy as np

        true, predicted, right = split(totals)
        n = true.sum(axis=-1)
        covariance = right.sum(axis=-1) * n - (predicted * true).sum(axis=-1)
        spreads = np.sqrt(n * n - (predicted**2).sum(axis=-1)) * np.sqrt(n * n - (true**2).sum(axis=-1))
        found: Numbers = np.divide(covariance, spreads, out=np.zeros_like(spreads), where=spreads > 0)
        return found


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [MatthewsCorrelation()]
