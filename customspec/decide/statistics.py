"""Intervals for metrics over rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

Score = Callable[[Sequence[str], Sequence[str]], float]

CONFIDENCE = 0.95
RESAMPLES = 999


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), two-sided, without continuity correction."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(
    score: Score, predictions: Sequence[str], references: Sequence[str], confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap over rows (Efron 1979), two-sided; constant scores give an interval of no width."""
    import numpy as np
    from scipy import stats

    n = len(references)
    if n == 1:
        value = score(predictions, references)
        return value, value

    def of_rows(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        drawn = rows.tolist()
        return score([predictions[i] for i in drawn], [references[i] for i in drawn])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # told by the interval itself
        result = stats.bootstrap(
            (np.arange(n),),
            of_rows,
            vectorized=False,
            n_resamples=RESAMPLES,
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
