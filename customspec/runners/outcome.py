"""What became of each step of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from customspec.errors import Exit
from customspec.plan import Result

Status = Literal["done", "cached", "skipped", "failed"]
Cause = Literal["goal", "budget", "time"]
"""Why a step was skipped though nothing failed: the goal was reached without it, its candidate broke the budget, or the
time was up."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """A step's end: its result when it has one, the reason when it was skipped or failed."""

    status: Status
    result: Result | None = None
    reason: str | None = None
    exit: Exit = Exit.DONE
    cause: Cause | None = None
    """Why it was skipped, where that is more than that a step it needs has no result."""

    @property
    def values(self) -> Mapping[str, Any]:
        return {} if self.result is None else self.result.values


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every step's end, by step id, in the plan's order."""

    steps: Mapping[str, StepOutcome]
    stopped: BaseException | None = None
    """What interrupted the run; the steps that it kept from running are skipped."""

    @property
    def failed(self) -> bool:
        return any(step.status == "failed" for step in self.steps.values())

    @property
    def exit(self) -> Exit:
        """How the run ends: a step that failed by itself weighs more than an environment that could not."""
        return min((step.exit for step in self.steps.values() if step.status == "failed"), default=Exit.DONE)

    @property
    def all_known(self) -> bool:
        """Whether the store held every result that the run asked for; deciding again is no work."""
        return all(step.status == "cached" or step.cause == "goal" for id, step in self.steps.items() if id != "decide")
