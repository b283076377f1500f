"""Token F1: how many words an answer shares with the reference."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options


class TokenF1:
    """Mean over rows of the harmonic mean of precision and recall of words (Rajpurkar et al. 2016, SQuAD).

    Words are runs of letters and digits, casefolded; unlike SQuAD's script, articles count.
    """

    name = "token_f1"
    summary = "Mean overlap (F1) of the words of answer and reference; 0 to 1. As in SQuAD, Rajpurkar et al. 2016."
    task: Literal["any"] = "any"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = False

    def rows(self, options: Options, answers: Sequence[Answer]) -> Sequence[float]:
        return [overlap(answer.prediction, answer.reference) for answer in answers]

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


def overlap(prediction: str, reference: str) -> float:
    """F1 of two texts' words, each counted as often as it stands; two empty texts agree."""
    ours, theirs = (Counter(re.findall(r"\w+", text.casefold())) for text in (prediction, reference))
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [TokenF1()]
