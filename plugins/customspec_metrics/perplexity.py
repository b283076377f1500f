"""Perplexity of the reference: how surprised the model is by the right answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.spec import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Perplexity:
    """The inverse of the geometric mean of the tokens' probabilities, over all references at once."""

    name = "perplexity"
    summary = (
        "Inverse of the mean probability (geometric) of the right answers' tokens given the prompt; from 1, which is "
        "certainty, upwards. It counts the model's own tokens, the end of the answer among them: compare candidates of "
        "one base model only. Costs a pass over every row."
    )
    task: Literal["any"] = "any"
    lowest = 1.0
    highest = math.inf
    higher_is_better = False
    proportion = False
    needs_likelihood = True

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        """exp of the mean negative log-likelihood per token. Raises ValueError where a likelihood is missing."""
        known = _known(answers)
        mean = math.fsum(likelihood for likelihood, _ in known) / sum(tokens for _, tokens in known)
        try:
            return math.exp(-mean)
        except OverflowError:
            return math.inf

    def parts(self, options: Options, answers: Sequence[Answer]) -> NDArray[np.float64]:
        """(answers, 2): the log-likelihood, and the tokens that it is of."""
        import numpy as np

        return np.array(_known(answers), dtype=float)

    def of_totals(self, options: Options, totals: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        with np.errstate(over="ignore"):
            return np.exp(-totals[..., 0] / totals[..., 1])


def _known(answers: Sequence[Answer]) -> list[tuple[float, int]]:
    known = [
        (answer.log_likelihood, answer.tokens)
        for answer in answers
        if answer.log_likelihood is not None and answer.tokens is not None
    ]
    if len(known) < len(answers):
        raise ValueError("perplexity needs the log-likelihood of every reference")
    return known


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [Perplexity()]
