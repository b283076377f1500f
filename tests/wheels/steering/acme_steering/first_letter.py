"""A metric: the share of answers that begin with the right letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import Metric, hookimpl

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

    def score(self, predictions: Sequence[str], references: Sequence[str]) -> float:
        pairs = zip(predictions, references, strict=True)
        return sum(prediction[:1] == reference[:1] for prediction, reference in pairs) / len(references)


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [FirstLetter()]
