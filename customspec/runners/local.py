"""The local runner: one step after another in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from customspec.errors import CustomspecError, RefusedError, Terminated
from customspec.hookspecs import Progress
from customspec.plan import Gate, Plan, Result, Step
from customspec.runners.execute import execute, find
from customspec.runners.limits import Limits, OutOfTimeError, OverBudgetError
from customspec.runners.outcome import Cause, Outcome, StepOutcome
from customspec.runners.warm import Warm
from customspec.runners.work import CHECKPOINT_SECONDS, Host, Need
from customspec.spec import Goal

log = logging.getLogger("customspec")

INTERRUPTED = "the run was interrupted"


def run_plan(
    plan: Plan,
    host: Host,
    watcher: Progress,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    limits: Limits | None = None,
) -> Outcome:
    """Every step of the plan, in its order: from the store, worked on, skipped, or failed. Never raises for a step, nor
    for an interrupt, which the outcome holds; a refusal (the inputs changed under the run) ends the run at once.

    `limits` are the plan's budget unless others are given: what passes them is skipped."""
    run = _Run(plan, host, watcher, checkpoint_seconds, limits or Limits.of(plan))
    taken: dict[str, StepOutcome] = {}
    for step in plan.steps:
        began = time.monotonic()
        try:
            ended = run.take(step, taken)
            watcher.finished(step.id, ended.status, time.monotonic() - began, ended.reason, ended.values or None)
        except (KeyboardInterrupt, Terminated) as interrupt:
            left = StepOutcome("skipped", reason=INTERRUPTED)
            return Outcome({one.id: taken.get(one.id, left) for one in plan.steps}, interrupt)
        taken[step.id] = ended
    return Outcome(taken)


@dataclass(frozen=True)
class _Run:
    """What all steps of a run have in common."""

    plan: Plan
    host: Host
    watcher: Progress
    checkpoint_seconds: float
    limits: Limits
    warm: Warm = field(default_factory=Warm)

    def take(self, step: Step, taken: Mapping[str, StepOutcome]) -> StepOutcome:
        """Take a step and return its outcome; `taken` has the outcomes of those before it. Raises RefusedError."""
        over = _over_budget(self.plan, taken)
        closed = _closed(step, taken, over)
        if closed is not None:
            return closed
        complete = all(taken[need].status in {"done", "cached"} for need in step.needs)
        try:
            if complete and (found := find(step, self.host.store, self.host.machine)) is not None:
                self._judge(step, found)
                return StepOutcome("cached", found)
            result, worked = self._work(step, _needs(step, self.plan, taken, over))
            self._judge(step, result)
        except RefusedError:
            raise
        except OverBudgetError as spent:
            cause: Cause = "time" if isinstance(spent, OutOfTimeError) else "budget"
            return StepOutcome("skipped", reason=str(spent), cause=cause)
        except CustomspecError as error:
            log.error("%s failed", step.id, exc_info=error)
            return StepOutcome("failed", reason=str(error), exit=error.exit)
        return StepOutcome("done" if worked else "cached", result)

    def _work(self, step: Step, needs: Mapping[str, Need]) -> tuple[Result, bool]:
        limited = step.kind != "decide"  # whatever was reached is decided among, late as it may be
        if limited:
            self.limits.check_time()
        self.watcher.started(step.id, None)
        return execute(
            step,
            needs,
            self.host,
            lambda done, total, note, values=None: self.watcher.progress(step.id, done, total, note, values),
            checkpoint_seconds=self.checkpoint_seconds,
            warm=self.warm,
            check=self.limits.watch(step, self.host.machine) if limited else lambda: None,
        )

    def _judge(self, step: Step, result: Result) -> None:
        """Raises OverBudgetError where the candidate turns out to take too much."""
        if step.candidate is None:
            return
        self.limits.check_peak(step, result.values.get("peak_memory_bytes"))
        if step.candidate != _gauge(self.plan):
            self.limits.check_measured(result.values)


def _gauge(plan: Plan) -> str | None:
    """The gauge's key: limits that only the chosen candidate must keep to do not bind it."""
    return next((candidate.key for candidate in plan.candidates if candidate.gauge), None)


def _needs(step: Step, plan: Plan, taken: Mapping[str, StepOutcome], over: Mapping[str, str]) -> dict[str, Need]:
    """The results that it works on: not those of candidates that turned out to be over the budget."""
    found = ((plan.step(id), taken[id].result) for id in step.needs)
    return {one.id: Need(one, result) for one, result in found if result is not None and one.candidate not in over}


def _over_budget(plan: Plan, taken: Mapping[str, StepOutcome]) -> dict[str, str]:
    """The candidates that broke the budget, each with what it took."""
    broken = ((plan.step(id).candidate, ended.reason) for id, ended in taken.items() if ended.cause == "budget")
    return {candidate: reason for candidate, reason in broken if candidate is not None and reason is not None}


def _closed(step: Step, taken: Mapping[str, StepOutcome], over: Mapping[str, str]) -> StepOutcome | None:
    """Why a step cannot or need not run: the ladder has reached the goal, its candidate is over the budget, or what it
    needs is not there."""
    if step.gate is not None and (reached := _reached(step.gate, taken, over)) is not None:
        return StepOutcome("skipped", reason=reached, cause="goal")
    if step.kind == "decide":
        return None  # decides among whatever was reached
    if step.candidate is not None and step.candidate in over:
        return StepOutcome("skipped", reason=over[step.candidate], cause="budget")
    missing = [need for need in step.needs if taken[need].result is None]
    return StepOutcome("skipped", reason=f"{missing[0]} {taken[missing[0]].status}") if missing else None


def _reached(gate: Gate, taken: Mapping[str, StepOutcome], over: Mapping[str, str]) -> str | None:
    goal = Goal(metric=gate.metric, at_least=gate.at_least, at_most=gate.at_most)
    for id in gate.after:
        _, key, split = id.split(":")
        result: Result | None = None if key in over else taken[id].result
        if result is not None and goal.reached_by(value := result.values["metrics"][gate.metric]["value"]):
            return f"{key} already reaches the goal: {gate.metric} {value:.3f} on the {split} rows"
    return None
