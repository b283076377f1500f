"""What a decision's bounds promise, computed over every outcome, not simulated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom, multinomial

from benchmarks.simulation import CONFIDENCE
from benchmarks.table import Table
from customspec.decide.intervals import clopper_pearson, wilson
from customspec.decide.pairs import newcombe, upper_bound
from customspec.decide.power import rows_by_normal, rows_for_power

ALPHA = 1 - CONFIDENCE
BOTH = 0.8  # of the rows in which two candidates do not differ, the share that both have right


def bounds() -> Table:
    """The size of the three one-sided tests at the threshold."""
    lines = []
    for n in (20, 100, 400, 1600):
        for threshold in (0.8, 0.9, 0.95):
            right = np.arange(n + 1)
            mass = binom.pmf(right, n, threshold)
            exact = sum(m for k, m in enumerate(mass) if clopper_pearson(k, n, CONFIDENCE, "lower") >= threshold)
            middle = mass[binom.sf(right, n, threshold) + mass / 2 <= ALPHA].sum()
            score = sum(m for k, m in enumerate(mass) if wilson(k, n, 2 * CONFIDENCE - 1)[0] >= threshold)
            lines.append((str(n), f"{threshold:g}", *(f"{100 * share:.2f} %" for share in (exact, middle, score))))
    return Table(
        "Why the claim is Clopper and Pearson's",
        "The exact probability that each one-sided bound at 95 % declares a goal met whose threshold is the true "
        "accuracy. Only the exact bound never passes 5 %.",
        ("rows", "threshold", "Clopper-Pearson", "mid-p", "Wilson"),
        lines,
    )


def margin_bounds() -> Table:
    """How often a loss that is as large as the margin is taken for less, at the worst."""
    lines, broken = [], []
    for n in (50, 87, 147, 200, 222):  # where Tango's alone errs most, among others
        outcomes = [(lost, won) for lost in range(n + 1) for won in range(n + 1 - lost)]
        ways = [[bound(lost, won, n) for lost, won in outcomes] for bound in (_ours, _newcombe)]
        for margin in (0.02, 0.05, 0.1):
            worst = [
                _worst([pair for pair, end in zip(outcomes, way, strict=True) if end < margin], n, margin)
                for way in ways
            ]
            if worst[0] > 0.06:
                broken.append(f"{worst[0]:.3f} of losses of {margin} are taken for less with {n} rows")
            lines.append((str(n), f"{margin:g}", *(f"{100 * share:.2f} %" for share in worst)))
    return Table(
        "Why the bound of a loss is Tango's",
        "The exact probability that each one-sided bound at 95 % of the difference of two candidates' accuracies shows "
        "a loss below the margin that truly is the margin, for the worst share of rows that the one which loses has "
        "alone right. Both have eight tenths of the other rows right. Ours is Tango's, and not below the exact bound "
        "where the one which loses has no row alone; it should stay below 6 %.",
        ("rows", "margin", "ours", "Newcombe"),
        lines,
        broken,
    )


def _ours(lost: int, won: int, n: int) -> float:
    return upper_bound(lost, won, n, CONFIDENCE)


def _newcombe(lost: int, won: int, n: int) -> float:
    both = round(BOTH * (n - lost - won))
    return newcombe(both, lost, won, n - lost - won - both, 2 * CONFIDENCE - 1)[1]


def _worst(shown: Sequence[tuple[int, int]], n: int, margin: float) -> float:
    counts = [(lost, won, n - lost - won) for lost, won in shown]
    shares = [share for share in (1e-9, *np.geomspace(1e-4, 0.4, 40)) if margin + 2 * share < 1]
    odds = ([share + margin, share, 1 - margin - 2 * share] for share in shares)
    return max(float(multinomial(n, each).pmf(counts).sum()) if counts else 0.0 for each in odds)


def rows_needed() -> Table:
    cases = ((0.8, 0.83), (0.8, 0.9), (0.9, 0.93), (0.9, 0.95), (0.95, 0.97), (0.99, 0.995))
    ways = (rows_by_normal, rows_for_power)
    lines = [(f"{goal:g}", f"{true:g}", *(str(way(goal, true, CONFIDENCE)) for way in ways)) for goal, true in cases]
    return Table(
        "Rows for 80 % power",
        "Of the claim's exact test, from that number of rows on; and by the normal approximation.",
        ("goal", "true accuracy", "approximation", "exact"),
        lines,
    )
