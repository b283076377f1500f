"""The paired randomization test: without a difference, a unit's two answers could as well have changed places."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from typing import TYPE_CHECKING

from customspec.decide.intervals import BATCH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Coins = NDArray[np.bool_]
    Numbers = NDArray[np.float64]

FLIPS = 9999  # least random flips of all units; so few units that they can are flipped in every way
SLOW_FLIPS = 1999  # where each flip is a new score of both sets, in Python
ENOUGH = 20  # flips as extreme as what was seen, after which no more are needed


def flips_for(family: int, confidence: float) -> int:
    """So many that a p value at the level of Holm's first step, (1 - confidence) / family, rests on `ENOUGH`."""
    return ceil(round(ENOUGH * family / (1 - confidence), 6))


def randomization(
    units: int, differences: Callable[[Coins], Numbers], observed: float, least: int, most: int
) -> tuple[float, str]:
    """The two-sided p value (Fisher 1935), and the test's name.

    `differences` takes coins (flips, units), true where a unit's answers change places. From `least` flips on it ends
    as soon as `ENOUGH` are as extreme as what was seen (Besag and Clifford 1991, Biometrika 78:301-304), at the latest
    at `most`: what comes near a family's level gets the flips that it needs, and what does not is quick.
    """
    import numpy as np

    most = max(least, most)
    if units < 2:  # one alone has its mirror's size
        return 1.0, "exact randomization"
    reach = abs(observed) - 1e-12 * max(1.0, abs(observed))  # but for rounding
    exact = units <= log2(most)
    total = 2**units if exact else most
    batch = max(1, BATCH // units)
    generator = np.random.default_rng(0)
    made = extreme = 0
    while made < total:
        size = min(batch, (total if exact or made >= least else least) - made)
        if exact:
            numbers = np.arange(made, made + size)[:, np.newaxis]
            coins = (numbers >> np.arange(units)) & 1 == 1
        else:
            coins = generator.random((size, units)) < 0.5
        extreme += int((np.abs(differences(coins)) >= reach).sum())
        made += size
        if not exact and made >= least and extreme >= ENOUGH:
            break
    if exact:
        return extreme / total, "exact randomization"
    return (extreme + 1) / (made + 1), f"randomization, {made} flips"
