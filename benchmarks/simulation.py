"""Candidates whose true accuracy is known, simulated on paired rows, and judged by the functions that a run uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from customspec.decide.decision import Decision, Question, Standing, decide
from customspec.decide.intervals import interval_of
from customspec.decide.pairs import compare_all
from customspec.decide.samples import Measure, Sample
from customspec.spec import Goal

ACCURACY = Measure("accuracy", 0.0, 1.0, higher_is_better=True, proportion=True)
SCORE = Measure("score", 0.0, 1.0, higher_is_better=True, proportion=False)
CORRELATION = 0.5  # of two candidates' latent ability to answer one row
CONFIDENCE = 0.95
MARGIN = 0.02

Answers = NDArray[np.float64]
"""(candidates, rows): 1 right, 0 wrong."""


def right_or_wrong(
    truths: Sequence[float], n: int, random: np.random.Generator, correlation: float = CORRELATION
) -> Answers:
    """A row is hard for all or easy for all: each candidate answers it by the row's ease and luck of its own.

    Both are normal; a candidate is right where their sum is below the quantile of its true accuracy.
    """
    ease = random.standard_normal(n)
    luck = random.standard_normal((len(truths), n))
    level = np.array([[NormalDist().inv_cdf(truth)] for truth in truths])
    answers: Answers = (correlation**0.5 * ease + (1 - correlation) ** 0.5 * luck < level).astype(np.float64)
    return answers


def samples_of(answers: Answers, groups: tuple[str, ...] | None = None) -> dict[str, Sample]:
    ids = tuple(map(str, range(answers.shape[1])))
    return {f"c{index}@0": Sample(ids, row, fmean, row, groups) for index, row in enumerate(answers)}


def standings_of(
    truths: Sequence[float], n: int, random: np.random.Generator, *, validation: bool = True
) -> list[Standing]:
    """Candidates from cheap to expensive, each with as many validation rows as test rows."""
    chosen_by = samples_of(right_or_wrong(truths, n, random)) if validation else {}
    tested = samples_of(right_or_wrong(truths, n, random))
    return [
        Standing(key, key.partition("@")[0], "prompting", chosen_by.get(key), sample, float(index), 0, 0.0)
        for index, (key, sample) in enumerate(tested.items())
    ]


@dataclass(frozen=True, slots=True)
class Decided:
    """Shares of runs."""

    met: float
    """The goal was declared met."""
    falsely: float
    """It was, of a candidate whose true accuracy lies below the threshold, or at the point where that begins."""
    undecided: float
    beyond_margin: float
    """A candidate was chosen, without a goal, whose true loss is not below the margin."""


def decisions(
    truths: Sequence[float],
    n: int,
    runs: int,
    seed: int,
    *,
    threshold: float | None = None,
    strategy: Literal["compare", "ladder"] = "ladder",
    validation: bool = True,
) -> Decided:
    """Whole decisions. A true accuracy equal to the threshold counts as below it: the limit of what falls short."""
    goal = None if threshold is None else Goal(metric="accuracy", at_least=threshold)
    question = Question(ACCURACY, goal, strategy, CONFIDENCE, MARGIN, len(truths))
    random = np.random.default_rng(seed)
    made = [decide(question, standings_of(truths, n, random, validation=validation)) for _ in range(runs)]

    def truth(decision: Decision) -> float:
        return truths[int((decision.chosen or "")[1:])]

    met = [decision for decision in made if decision.goal_met]
    near = [decision for decision in made if decision.ending == "within_margin"]
    return Decided(
        met=len(met) / runs,
        falsely=sum(truth(decision) <= (threshold or 0.0) for decision in met) / runs,
        undecided=sum(decision.ending == "undecided" for decision in made) / runs,
        beyond_margin=sum(max(truths) - truth(decision) >= MARGIN - 1e-12 for decision in near) / runs,
    )


@dataclass(frozen=True, slots=True)
class Families:
    """Shares over runs, and over intervals and pairs of all runs."""

    covered: float
    """Wilson's intervals that hold the true accuracy."""
    covered_difference: float
    """Newcombe's intervals that hold the true difference."""
    false_verdict: float
    """Families with a verdict between two candidates that are truly equal."""
    told_apart: float
    """Pairs of candidates that truly differ, told apart in the right direction."""


def families(truths: Sequence[float], n: int, runs: int, seed: int, correlation: float = CORRELATION) -> Families:
    """Every pair of candidates on the same rows, and every candidate's own interval."""
    random = np.random.default_rng(seed)
    covered, covered_difference, told = [], [], []
    wrong = 0
    for _ in range(runs):
        samples = samples_of(right_or_wrong(truths, n, random, correlation))
        truth = dict(zip(samples, truths, strict=True))
        for key, sample in samples.items():
            interval = interval_of(sample, ACCURACY, CONFIDENCE)
            covered.append(interval.low <= truth[key] <= interval.high)
        pairs = compare_all(samples, ACCURACY, CONFIDENCE)
        apart = [round(truth[pair.first] - truth[pair.second], 12) for pair in pairs]
        for pair, difference in zip(pairs, apart, strict=True):
            covered_difference.append(pair.ci[0] <= difference <= pair.ci[1])
            if difference:
                told.append(pair.verdict == ("better" if difference > 0 else "worse"))
        equal = [pair for pair, difference in zip(pairs, apart, strict=True) if not difference]
        wrong += any(pair.verdict != "not distinguishable" for pair in equal)
    return Families(fmean(covered), fmean(covered_difference), wrong / runs, fmean(told) if told else float("nan"))


Draw = Callable[[int, np.random.Generator], tuple[Answers, tuple[str, ...] | None]]
"""One candidate's row scores (1, n), and its rows' groups, for a number of rows."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A metric of another kind than right and wrong rows: how its rows come about, and its true value."""

    name: str
    draw: Draw
    truth: float
    measure: Measure


def kinds() -> Iterator[Kind]:
    """Row scores as of word overlap: half of the rows perfect, a twentieth worthless, the rest between; and of answers
    of one word, which are perfect or worthless.

    And right and wrong answers in groups of four, alike within a group; and the same all right or all wrong.
    """

    def overlaps(n: int, random: np.random.Generator) -> tuple[Answers, None]:
        kind = random.random(n)
        scores = np.where(kind < 0.5, 1.0, np.where(kind < 0.55, 0.0, random.beta(4, 2, n)))
        return scores[None, :], None

    def grouped(n: int, random: np.random.Generator) -> tuple[Answers, tuple[str, ...]]:
        ability = np.repeat(random.beta(8, 2, n // 4), 4)
        return (random.random(n) < ability).astype(np.float64)[None, :], tuple(str(row // 4) for row in range(n))

    def words(n: int, random: np.random.Generator) -> tuple[Answers, None]:
        return (random.random(n) < 0.95).astype(np.float64)[None, :], None

    def alike(n: int, random: np.random.Generator) -> tuple[Answers, tuple[str, ...]]:
        right = np.repeat(random.random(n // 4) < 0.95, 4).astype(np.float64)
        return right[None, :], tuple(str(row // 4) for row in range(n))

    yield Kind("word overlap", overlaps, 0.5 + 0.45 * 4 / 6, SCORE)
    yield Kind("overlap of one word", words, 0.95, SCORE)
    yield Kind("accuracy, groups of 4", grouped, 0.8, ACCURACY)
    yield Kind("accuracy, equal groups of 4", alike, 0.95, ACCURACY)


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """Shares of runs: intervals that hold the true value, and claims of a goal that lies exactly there."""

    covered: float
    falsely: float


def bootstrapped(kind: Kind, n: int, runs: int, seed: int) -> Bootstrapped:
    """One candidate, judged by a bootstrap: its interval, and the claim of a goal at its true value."""
    random = np.random.default_rng(seed)
    goal = Goal(metric=kind.measure.name, at_least=kind.truth)
    question = Question(kind.measure, goal, "ladder", CONFIDENCE, MARGIN, 1)
    covered = falsely = 0
    for _ in range(runs):
        answers, groups = kind.draw(n, random)
        (sample,) = samples_of(answers, groups).values()
        interval = interval_of(sample, kind.measure, CONFIDENCE)
        covered += interval.low <= kind.truth <= interval.high
        # without validation rows: every run whose estimate reaches the goal makes the claim
        decision = decide(question, [Standing("c0@0", "c0", "prompting", None, sample, 0.0, 0, 0.0)])
        falsely += decision.goal_met is True
    return Bootstrapped(covered / runs, falsely / runs)
