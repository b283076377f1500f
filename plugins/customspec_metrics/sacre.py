"""BLEU and chrF: the overlap of n-grams over a whole set of answers, by sacrebleu."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from customspec.hookspecs import Answer, Extra, Metric, hookimpl
from customspec.spec import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sacrebleu.metrics.base import Metric as SacreMetric

    Numbers = NDArray[np.float64]


class BleuOptions(Options):
    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """sacrebleu's tokenizer: `13a` for languages with spaces, `intl` for Unicode punctuation, `zh` for Chinese,
    `char` for single characters."""
    lowercase: bool = False
    """Whether case does not matter."""


class ChrfOptions(Options):
    word_order: Literal[0, 1, 2] = 0
    """Longest n-gram of words beside those of characters; 2 is chrF++."""
    lowercase: bool = False
    """Whether case does not matter."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """A metric that is a function of sums over rows; sacrebleu draws its own bootstrap from the same counts."""

    name: str
    summary: str
    options: type[Options]
    make: Callable[[Any], SacreMetric]
    task: Literal["generation"] = "generation"
    lowest = 0.0
    highest = 100.0
    higher_is_better = True
    proportion = False
    extra = Extra(("sacrebleu",), "customspec[text-metrics]")

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        return float(self.of_totals(options, self.parts(options, answers).sum(axis=0)))

    def parts(self, options: Options, answers: Sequence[Answer]) -> Numbers:
        import numpy as np

        metric = self.make(options)
        counted = [metric._extract_corpus_statistics([one.prediction], [[one.reference]])[0] for one in answers]
        return np.array(counted, dtype=float)

    def of_totals(self, options: Options, totals: Numbers) -> Numbers:
        import numpy as np

        metric = self.make(options)
        scores = [metric._compute_score_from_stats(one.tolist()).score for one in totals.reshape(-1, totals.shape[-1])]
        # the mean of four logarithms of 100 may come out a little above
        found: Numbers = np.minimum(self.highest, np.array(scores, dtype=float)).reshape(totals.shape[:-1])
        return found


def _bleu(options: BleuOptions) -> SacreMetric:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(lowercase=options.lowercase, tokenize=options.tokenize)


def _chrf(options: ChrfOptions) -> SacreMetric:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=options.word_order, lowercase=options.lowercase)


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [
        Corpus(
            "bleu",
            "Precision of up to four words in a row, with a penalty for brevity; 0 to 100. It is 0 where no answer "
            "has four words: for short answers take `chrf`. Papineni et al. 2002, over all rows at once, as sacrebleu "
            "computes it (Post 2018).",
            BleuOptions,
            _bleu,
        ),
        Corpus(
            "chrf",
            "F-score of up to six characters in a row, recall weighing twice; 0 to 100. For short answers and for "
            "languages rich in forms. Popović 2015, over all rows at once, as sacrebleu computes it (Post 2018).",
            ChrfOptions,
            _chrf,
        ),
    ]
