"""Matthews correlation: how predictions and references go together, beyond what their frequencies explain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options


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


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [MatthewsCorrelation()]
