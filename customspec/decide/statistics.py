"""Intervals for metrics over rows."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

CONFIDENCE = 0.95
RESAMPLES = 999


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), two-sided, without continuity correction."""
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(
    score: Callable[[Sequence[T]], float],
    rows: Sequence[T],
    groups: Sequence[str] | None = None,
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap (Efron 1979), two-sided, over rows, or over whole groups where each row's group is given.

    Constant scores, and a single row or group, give an interval of no width.
    """
    import numpy as np
    from scipy import stats

    units = _units(groups or range(len(rows)))
    if len(units) == 1:
        value = score(rows)
        return value, value

    def of_units(drawn: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        return score([rows[row] for unit in drawn.tolist() for row in units[unit]])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # told by the interval itself
        result = stats.bootstrap(
            (np.arange(len(units)),),
            of_units,
            vectorized=False,
            n_resamples=RESAMPLES,
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _units(groups: Iterable[Hashable]) -> list[list[int]]:
    """The rows of each group, in the order in which the groups appear."""
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        rows[group].append(row)
    return list(rows.values())
