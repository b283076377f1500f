"""Macro and weighted F1: means of each choice's F1.

Counted here as scikit-learn counts: its f1_score takes 2 ms, and an interval asks some thousand times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options
from customspec_metrics.confusion import counts, split

if TYPE_CHECKING:
    from customspec_metrics.confusion import Numbers


class MacroF1:
    """Over the choices that occur in the references or the predictions."""

    name = "macro_f1"
    summary = (
        "Unweighted mean over the choices of the harmonic mean of precision and recall; 0 to 1. Every choice counts "
        "alike, however rare it is."
    )
    task: Literal["classification"] = "classification"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = False

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        scores = f1_scores(answers)
        return sum(scores.values()) / len(scores)

    def parts(self, options: Options, answers: Sequence[Answer]) -> Numbers:
        return counts(answers)

    def of_totals(self, options: Options, totals: Numbers) -> Numbers:
        scores, true, predicted = by_choice(totals)
        return scores.sum(axis=-1) / (true + predicted > 0).sum(axis=-1)  # type: ignore[no-any-return]


class WeightedF1:
    """Each choice's F1 with its share of the references as weight."""

    name = "weighted_f1"
    summary = (
        "Mean over the choices of the harmonic mean of precision and recall, weighted by how often a choice is the "
        "right one; 0 to 1."
    )
    task: Literal["classification"] = "classification"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = False

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        true = Counter(answer.reference for answer in answers)
        return sum(true[choice] * score for choice, score in f1_scores(answers).items()) / len(answers)

    def parts(self, options: Options, answers: Sequence[Answer]) -> Numbers:
        return counts(answers)

    def of_totals(self, options: Options, totals: Numbers) -> Numbers:
        scores, true, _ = by_choice(totals)
        return (scores * true).sum(axis=-1) / true.sum(axis=-1)  # type: ignore[no-any-return]


def f1_scores(answers: Sequence[Answer]) -> Mapping[str, float]:
    """F1 of each choice that occurs, in the choices' order."""
    predicted = Counter(answer.prediction for answer in answers)
    true = Counter(answer.reference for answer in answers)
    right = Counter(answer.prediction for answer in answers if answer.prediction == answer.reference)
    choices = sorted(predicted.keys() | true.keys())  # a set's order, and so the last digit, varies by process
    return {choice: 2 * right[choice] / (predicted[choice] + true[choice]) for choice in choices}


def by_choice(totals: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Each choice's F1, 0 where it does not occur, and how often it is the right one and the given one."""
    import numpy as np

    true, predicted, right = split(totals)
    return 2 * right / np.maximum(true + predicted, 1), true, predicted


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [MacroF1(), WeightedF1()]
