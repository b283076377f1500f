"""What the statistics of a decision promise, measured on simulated candidates whose truth is known.

    python -m benchmarks.decision > benchmarks/decision.md

Some minutes on one core. Exits with 1 where a promise is not kept. `--runs` makes it shorter, and less sure.
"""

from __future__ import annotations

import platform
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from math import sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import scipy

from benchmarks.exact import bounds, margin_bounds, rows_needed
from benchmarks.simulation import CONFIDENCE, MARGIN, bootstrapped, decisions, families, kinds
from benchmarks.table import Table

RUNS = 2000
ROWS = (100, 400, 1600)
DIFFERENCES = (0.0, 0.03, 0.10)
BASE = 0.8
RUNGS = 8
ALPHA = 1 - CONFIDENCE


def limit(runs: int) -> float:
    """The largest share of runs that a true 5 % gives, but once in a hundred."""
    return ALPHA + NormalDist().inv_cdf(0.99) * sqrt(ALPHA * (1 - ALPHA) / runs)


def seeds() -> Iterator[int]:
    """A seed for every simulation: each is repeatable, none shares its rows with another."""
    yield from range(1_000_000)


def intervals_and_verdicts(runs: int, seed: Iterator[int]) -> Table:
    lines, broken = [], []
    for n in ROWS:
        for difference in DIFFERENCES:
            found = families([BASE] * (RUNGS // 2) + [BASE + difference] * (RUNGS // 2), n, runs, next(seed))
            for name, share in (("Wilson", found.covered), ("Newcombe", found.covered_difference)):
                if abs(share - CONFIDENCE) > 0.02:
                    broken.append(f"{name} covers {share:.3f} with {n} rows and a difference of {difference}")
            if found.false_verdict > limit(runs):
                broken.append(f"{found.false_verdict:.3f} of families have a false verdict with {n} rows")
            shares = (found.covered, found.covered_difference, found.false_verdict, found.told_apart)
            lines.append((str(n), f"{difference:g}", *map(percent, shares)))
    return Table(
        "Intervals and verdicts",
        f"Eight candidates on the same rows: four of true accuracy {BASE}, four better by the difference. Coverage "
        "should be 95 % within two points; a family with any verdict between equals is false, at most 5 %.",
        ("rows", "difference", "Wilson covers", "Newcombe covers", "families with a false verdict", "told apart"),
        lines,
        broken,
    )


def rare_differences(runs: int, seed: Iterator[int]) -> Table:
    lines, broken = [], []
    for base, difference, correlation in ((0.95, 0.03, 0.5), (0.95, 0.03, 0.9), (0.6, 0.1, 0.2)):
        truths = [base] * (RUNGS // 2) + [base + difference] * (RUNGS // 2)
        for n in ROWS[:2]:
            found = families(truths, n, runs, next(seed), correlation)
            if min(found.covered, found.covered_difference) < CONFIDENCE - 0.02:
                broken.append(f"coverage of {found.covered:.3f} and {found.covered_difference:.3f} with {n} rows")
            if found.false_verdict > limit(runs):
                broken.append(f"{found.false_verdict:.3f} of families have a false verdict with {n} rows")
            shares = (found.covered, found.covered_difference, found.false_verdict)
            lines.append((f"{base:g}", f"{difference:g}", f"{correlation:g}", str(n), *map(percent, shares)))
    return Table(
        "Where candidates err on few rows, or on the same",
        "The same for other accuracies, and other correlations between the candidates. Where only a handful of rows "
        "differ, Newcombe's interval is too wide, not too narrow: coverage may lie above 97 %, never below 93 %.",
        ("accuracy", "difference", "correlation", "rows", "Wilson covers", "Newcombe covers", "false verdict"),
        lines,
        broken,
    )


def false_claims(runs: int, seed: Iterator[int]) -> Table:
    lines, broken = [], []
    for n in ROWS:
        for difference in DIFFERENCES:
            truths = [BASE - difference] * (RUNGS - 1) + [BASE]
            cases = {
                "ladder": decisions(truths, n, runs, next(seed), threshold=BASE),
                "compare": decisions(truths, n, runs, next(seed), threshold=BASE, strategy="compare"),
                "no validation rows": decisions(
                    truths, n, runs, next(seed), threshold=BASE, strategy="compare", validation=False
                ),
            }
            for name, found in cases.items():
                if found.met > limit(runs):
                    broken.append(f"{found.met:.3f} of runs declare the goal met ({name}, {n} rows)")
            lines.append((str(n), f"{difference:g}", *(percent(found.met) for found in cases.values())))
    return Table(
        "Goals declared met where none truly is",
        f"The goal is {BASE}. Seven candidates fall short by the difference, the eighth lies exactly where falling "
        "short ends: the worst case. At most 5 % of runs may declare the goal met. Without validation rows, the test "
        "rows choose as well.",
        ("rows", "difference", "ladder", "compare", "no validation rows"),
        lines,
        broken,
    )


def power(runs: int, seed: Iterator[int]) -> Table:
    lines, broken = [], []
    for n in ROWS:
        for difference in DIFFERENCES[1:]:
            truths = [BASE - difference] * (RUNGS // 2) + [BASE + difference] + [BASE - difference] * (RUNGS // 2 - 1)
            ladder = decisions(truths, n, runs, next(seed), threshold=BASE)
            compare = decisions(truths, n, runs, next(seed), threshold=BASE, strategy="compare")
            if max(ladder.falsely, compare.falsely) > limit(runs):
                broken.append(f"claims of what falls short with {n} rows: {ladder.falsely:.3f}, {compare.falsely:.3f}")
            shares = (ladder.met, compare.met, ladder.falsely, compare.falsely)
            lines.append((str(n), f"{difference:g}", *map(percent, shares)))
    return Table(
        "Power where one candidate truly meets the goal",
        f"The goal is {BASE}. The fifth rung is better by the difference, the others fall short by as much. A rung "
        "below that reaches the goal on the validation rows by luck is chosen, and then not claimed: that costs power.",
        ("rows", "difference", "ladder: met", "compare: met", "ladder: falsely", "compare: falsely"),
        lines,
        broken,
    )


def margins(runs: int, seed: Iterator[int]) -> Table:
    lines, broken = [], []
    for n in (*ROWS, 6400):
        for difference in (0.0, MARGIN, *DIFFERENCES[1:]):
            truths = [BASE] * (RUNGS - 1) + [BASE + difference]
            found = decisions(truths, n, runs, next(seed), strategy="compare")
            if found.beyond_margin > limit(runs):
                broken.append(f"{found.beyond_margin:.3f} of choices lose more than the margin with {n} rows")
            lines.append((str(n), f"{difference:g}", percent(found.undecided), percent(found.beyond_margin)))
    return Table(
        "Without a goal: the cheapest that loses less than the margin",
        f"Seven candidates of true accuracy {BASE}, and the dearest better by the difference; the margin is {MARGIN}. "
        "At most 5 % of runs may choose one whose true loss is not below the margin.",
        ("rows", "difference", "undecided", "chosen beyond the margin"),
        lines,
        broken,
    )


def bootstraps(runs: int, seed: Iterator[int]) -> Table:
    lines, broken = [], []
    for kind in kinds():
        for n in ROWS:
            found = bootstrapped(kind, n, runs, next(seed))
            # Wilson's own 96.6 % of 100 rows at 0.95 shows as up to 97.5 % of so many runs
            if abs(found.covered - CONFIDENCE) > 0.02 + (limit(runs) - ALPHA):
                broken.append(f"the interval covers {found.covered:.3f} ({kind.name}, {n} rows)")
            if found.falsely > limit(runs):
                broken.append(f"{found.falsely:.3f} of runs declare the goal met ({kind.name}, {n} rows)")
            lines.append((kind.name, str(n), percent(found.covered), percent(found.falsely)))
    return Table(
        "Other scores, and groups",
        "One candidate, judged by the BCa bootstrap: row scores as of word overlap (half perfect, a twentieth "
        "worthless, the rest between), and right or wrong rows in groups of four that are alike; and by the exact "
        "bound and Wilson's interval, where all that is drawn is perfect or worthless. The goal lies exactly at the "
        "true value. The bootstrap is right for many rows, not for each number of them.",
        ("metric", "rows", "interval covers", "goal declared met"),
        lines,
        broken,
    )


def percent(share: float) -> str:
    return "" if share != share else f"{100 * share:.1f} %"


def processor() -> str:
    """The processor's name, where the system tells it."""
    file = Path("/proc/cpuinfo")
    names = [line for line in file.read_text().splitlines() if line.startswith("model name")] if file.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m benchmarks.decision", description="What a decision's statistics promise.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"simulated runs for each line (default {RUNS})")
    runs: int = parser.parse_args(arguments).runs
    seed = seeds()
    simulated = (intervals_and_verdicts, rare_differences, false_claims, power, margins, bootstraps)
    makers: list[Callable[[], Table]] = [partial(simulate, runs, seed) for simulate in simulated]
    sys.stdout.write(
        "# What the statistics of a decision promise\n\n"
        "`python -m benchmarks.decision > benchmarks/decision.md` writes this page. Each line is "
        f"{runs:,} simulated runs through the functions that a run uses; true 5 % of them show as up to "
        f"{percent(limit(runs))}. Two candidates' answers to a row correlate: hard rows are hard for all.\n\n"
        f"{date.today().isoformat()}, {processor()}, Python {platform.python_version()}, "  # noqa: DTZ011
        f"scipy {scipy.__version__}, numpy {np.__version__}.\n\n"
    )
    broken = 0
    for make in (*makers, bounds, margin_bounds, rows_needed):
        table = make()
        sys.stdout.write(table.markdown() + "\n")
        sys.stdout.flush()
        broken += len(table.broken)
    sys.stdout.write(f"{f'{broken} promises are not kept.' if broken else 'Every promise is kept.'}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
