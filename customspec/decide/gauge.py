"""The gauge: what a larger model does with the prompt alone, and what that says of the task."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from customspec.decide.intervals import bound_of
from customspec.decide.samples import Measure, Sample
from customspec.decide.wording import at_least, at_most, bound, decimals, percent
from customspec.spec import Goal

GaugeFinding = Literal["reaches", "falls_far_short", "falls_short", "measured"]


@dataclass(frozen=True, slots=True)
class Gauged:
    """`falls_far_short`: the goal lies beyond even the bound on the gauge's good side; `measured`: there is no goal."""

    key: str
    id: str
    finding: GaugeFinding
    value: float
    bound: float | None
    confidence: float
    n: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def gauge(key: str, sample: Sample, measure: Measure, goal: Goal | None, confidence: float) -> Gauged:
    """What the gauge's answers say, by one one-sided bound at `confidence`."""
    id = key.rpartition("@")[0]
    if goal is None:
        return Gauged(key, id, "measured", sample.value, None, confidence, sample.n)
    upper = goal.at_least is not None
    found = bound_of(sample, measure, confidence, "upper" if upper else "lower")
    best = found.high if upper else found.low
    finding: GaugeFinding = "falls_short" if goal.reached_by(best) else "falls_far_short"
    if goal.reached_by(sample.value):
        finding = "reaches"
    return Gauged(key, id, finding, sample.value, best if isfinite(best) else None, confidence, sample.n)


def sentence_of(gauged: Gauged, measure: Measure, goal: Goal | None, split: str) -> str:
    """The finding as a sentence."""
    found = f"{measure.name} {decimals(gauged.value)} on the {split} rows"
    if goal is None:
        return f"the gauge, {gauged.id}, has {found}"
    if gauged.finding == "reaches":
        return f"the gauge, {gauged.id}, reaches {bound(goal)}: {found}; so models can do the task"
    if gauged.bound is not None:
        limit = at_most(gauged.bound) if goal.at_least is not None else at_least(gauged.bound)
        found = f"{found}, {limit} with {percent(gauged.confidence)} confidence"
    if gauged.finding == "falls_far_short":
        problem = "the prompt, the labels or the data are the problem, before size or tuning are"
        return f"the gauge, {gauged.id}, falls far short of {bound(goal)}: {found}; {problem}"
    return f"the gauge, {gauged.id}, does not reach {bound(goal)} and is not far from it: {found}"
