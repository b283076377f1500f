"""ROUGE: n-grams and subsequences that an answer shares with the reference, by rouge-score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from customspec.hookspecs import Answer, Extra, Metric, hookimpl
from customspec.spec import Options

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer


class RougeOptions(Options):
    use_stemmer: bool = False
    """Porter's stemmer cuts the endings of English words before they are compared; with `words: ascii` only."""
    words: Literal["ascii", "unicode"] = "ascii"
    """`ascii`: rouge-score's own words, runs of a-z and 0-9 (text in other scripts has none). `unicode`: runs of
    letters and digits of any script."""


@dataclass(frozen=True)
class Rouge:
    """Mean over rows of the F-measure of one kind of overlap."""

    name: str
    summary: str
    options = RougeOptions
    task: Literal["generation"] = "generation"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = False
    extra = Extra(("rouge_score",), "customspec[text-metrics]")

    def rows(self, options: RougeOptions, answers: Sequence[Answer]) -> Sequence[float]:
        scorer = self._scorer(options)
        return [float(scorer.score(answer.reference, answer.prediction)[self.name].fmeasure) for answer in answers]

    def score(self, options: RougeOptions, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))

    def _scorer(self, options: RougeOptions) -> RougeScorer:
        from rouge_score.rouge_scorer import RougeScorer

        words = _Words() if options.words == "unicode" else None
        return RougeScorer([self.name], use_stemmer=options.use_stemmer, tokenizer=words)


class _Words:
    """A tokenizer in rouge-score's sense."""

    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"\w+", text.casefold())


_SOURCE = "mean over rows, 0 to 1. Lin 2004, as rouge-score computes it."


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [
        Rouge("rouge1", f"F-measure of the words that answer and reference share; {_SOURCE}"),
        Rouge("rouge2", f"F-measure of the pairs of neighbouring words that answer and reference share; {_SOURCE}"),
        Rouge("rougeL", f"F-measure of the longest sequence of words that both have in one order; {_SOURCE}"),
    ]
