"""How many rows a claim takes: to be possible at all, and to succeed four times in five at a stated true value.

All of it is for the exact one-sided binomial test, the dual of Clopper and Pearson's bound, by which right and wrong
rows are judged. For the mean of any other scores between the same ends it is an upper limit: of all distributions with
one mean on one range, that of right and wrong varies most.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, isfinite, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from customspec.decide.samples import Measure
from customspec.spec import Goal

if TYPE_CHECKING:
    from customspec.decide.samples import Draws, Numbers

POWER = 0.8
EXACT_UP_TO = 100_000  # rows; beyond, the normal approximation is within a percent


def share_of(value: float, measure: Measure, *, at_least: bool) -> float | None:
    """Where a value lies between the worst (0) and the best (1) of a metric; None on a range without ends."""
    if not isfinite(measure.range):
        return None
    return (value - measure.lowest if at_least else measure.highest - value) / measure.range


def goal_share(goal: Goal, measure: Measure) -> float | None:
    """The goal's threshold as a share of the metric's range."""
    at_least = goal.at_least is not None
    return share_of(goal.threshold, measure, at_least=at_least)


def fewest_rows(share: float, confidence: float) -> int | None:
    """The fewest rows that can show a share, every one right: share^n <= 1 - confidence. None: no number of rows."""
    if share >= 1:
        return None
    if share <= 0:
        return 1
    rows = max(1, ceil(log(1 - confidence) / log(share)) - 1)
    while share**rows > 1 - confidence:  # at most twice: the logarithms' last digit
        rows += 1
    return rows


@lru_cache(maxsize=65_536)
def rows_for_power(share: float, true: float, confidence: float, power: float = POWER) -> int | None:
    """Rows from which on the exact test shows a share with this power, when the truth is `true`; None: never.

    The power of an exact test rises in a saw's teeth; this is the number behind the last tooth that falls below.
    """
    if not 0 < share < true <= 1:
        return 1 if share <= 0 else None
    near = rows_by_normal(share, true, confidence, power)
    if near > EXACT_UP_TO:
        return near
    import numpy as np

    # the exact test needs about 1 / difference rows more than the approximation (Fleiss's continuity correction)
    rows = np.arange(1 if near < 1000 else near // 2, near + ceil(4 / (true - share)) + 100)
    short = rows[exact_power(rows, share, true, confidence) < power]
    return int(short[-1]) + 1 if len(short) else 1


def rows_by_normal(share: float, true: float, confidence: float, power: float = POWER) -> int:
    """The textbooks' approximation, the one-sample z test of a proportion: 558 rows for 0.93 against 0.90."""
    normal = NormalDist()
    spread = normal.inv_cdf(confidence) * sqrt(share * (1 - share)) + normal.inv_cdf(power) * sqrt(true * (1 - true))
    return ceil((spread / (true - share)) ** 2)


def exact_power(rows: Draws, share: float, true: float, confidence: float) -> Numbers:
    """The exact test's power for each number of rows."""
    import numpy as np
    from scipy.special import bdtrc

    # the fewest right rows that reject; bdtrc(k, n, p) is P(X > k)
    right = _critical(rows, share, confidence)
    found: Numbers = np.where(right > rows, 0.0, bdtrc(right - 1, rows, true))
    return found


def least_shown(rows: int, share: float, confidence: float, power: float = POWER) -> float | None:
    """The smallest true share that so many rows show with this power; None: they cannot show the goal at all."""
    import numpy as np

    right = int(_critical(np.array([rows]), share, confidence)[0])
    return None if right > rows else share_showing(right, rows, power)


def share_showing(needed: int, rows: int, power: float = POWER) -> float:
    """The share of right rows at which so many of these rows, or more, are right with this power."""
    from scipy.special import betaincinv

    return float(betaincinv(needed, rows - needed + 1, power))


def _critical(rows: Draws, share: float, confidence: float) -> Draws:
    """The fewest right rows for which the exact one-sided test of `share` rejects."""
    import numpy as np
    from scipy.special import bdtr, bdtrik

    most = np.ceil(bdtrik(confidence, rows, share))  # P(X <= most) >= confidence
    below = np.maximum(most - 1, 0)  # the inverse can be one too many by rounding
    most = np.where((most > 0) & (bdtr(below, rows, share) >= confidence), below, most)
    right: Draws = most.astype(np.int64) + 1
    return right
