"""The budget while it is spent: a step that would exceed it is stopped, and what it has not published is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from customspec.compiler.budget import LIMITS
from customspec.errors import CustomspecError
from customspec.machine import Machine
from customspec.plan import Plan, Step
from customspec.report.quantities import duration, size
from customspec.runners.measure import measuring

MEASURED = {
    "trainable_parameters": "trainable_parameters",
    "artifact": "artifact_bytes",
    "prompt_tokens": "prompt_tokens_per_example",
}
"""The keys of the budget that limit a candidate, each with the value of a step that is held against it."""


class OverBudgetError(CustomspecError):
    """The candidate takes more than the budget: no failure, but what the person asked for."""


class OutOfTimeError(OverBudgetError):
    """The run's time is used up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may take. `clock` counts seconds; the run began at `began`."""

    minutes: float | None = None
    memory_bytes: int | None = None
    most: Mapping[str, float] = field(default_factory=dict)
    """By key of the budget, the most of what a candidate's steps measure."""
    clock: Callable[[], float] = time.monotonic
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, plan: Plan) -> Limits:
        """The plan's, from now on."""
        budget = plan.budget or {}
        most = {key: budget[key] for key in MEASURED if budget.get(key) is not None}
        return cls(budget.get("minutes"), budget.get("memory"), most)

    @property
    def seconds_left(self) -> float | None:
        return None if self.minutes is None else self.began + 60 * self.minutes - self.clock()

    def check_time(self) -> None:
        """Raises OutOfTimeError when the time is up."""
        left = self.seconds_left
        if left is not None and left <= 0:
            assert self.minutes is not None
            raise OutOfTimeError(f"the budget of {duration(60 * self.minutes)} is used up")

    def check_measured(self, values: Mapping[str, Any]) -> None:
        """Raises OverBudgetError when a step's values say that its candidate takes more than it may."""
        for key, most in self.most.items():
            limit, found = LIMITS[key], values.get(MEASURED[key])
            if found is not None and found > most:
                measured = limit.needs.format(limit.write(found))
                raise OverBudgetError(f"over the budget: measured {measured}; `{key}` allows {limit.write(most)}")

    def check_peak(self, step: Step, peak: float | None) -> None:
        """Raises OverBudgetError where a candidate's step took more memory than it may, in this run or an earlier one.
        None: not known."""
        if peak is not None and self.memory_bytes is not None and peak > self.memory_bytes:
            taken = f"{step.id} took {size(peak)} of memory"
            raise OverBudgetError(f"{taken}; the budget allows {size(self.memory_bytes)}")

    def watch(self, step: Step, machine: Machine) -> Callable[[], None]:
        """To be called while a step works, as often as it can stop: raises OverBudgetError. Peaks count from here."""
        peak = (
            None
            if self.memory_bytes is None or step.candidate is None
            else measuring(machine.device, machine.torch_device)
        )

        def check() -> None:
            self.check_time()
            self.check_peak(step, None if peak is None else peak())

        return check
