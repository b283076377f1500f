"""Macro and weighted F1: means of each choice's F1.

Counted here as scikit-learn counts: its f1_score takes 2 ms, and an interval asks some thousand times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options


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


def f1_scores(answers: Sequence[Answer]) -> Mapping[str, float]:
    """F1 of each choice that occurs, in the choices' order."""
    predicted = Counter(answer.prediction for answer in answers)
    true = Counter(answer.reference for answer in answers)
    right = Counter(answer.prediction for answer in answers if answer.prediction == answer.reference)
    choices = sorted(predicted.keys() | true.keys())  # a set's order, and so the last digit, varies by process
    return {choice: 2 * right[choice] / (predicted[choice] + true[choice]) for choice in choices}


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [MacroF1(), WeightedF1()]
