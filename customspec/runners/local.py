"""The local runner: one step after another in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from customspec.errors import CustomspecError, RefusedError, Terminated
from customspec.hookspecs import Progress
from customspec.machine import Machine
from customspec.plan import Gate, Plan, Result, Step
from customspec.registry import Registry
from customspec.runners.execute import execute, find
from customspec.runners.limits import Limits, OverBudgetError
from customspec.runners.outcome import Outcome, StepOutcome
from customspec.runners.warm import Warm
from customspec.runners.work import CHECKPOINT_SECONDS, Need, Tell
from customspec.spec import Goal
from customspec.store import Store

log = logging.getLogger("customspec")


INTERRUPTED = "the run was interrupted"


def run_plan(
    plan: Plan,
    store: Store,
    registry: Registry,
    machine: Machine,
    watcher: Progress,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    limits: Limits | None = None,
) -> Outcome:
    """Every step of the plan, in its order: from the store, worked on, skipped, or failed. Never raises for a step, nor
    for an interrupt, which the outcome holds; a refusal (the inputs changed under the run) ends the run at once.
    `limits` are the plan's budget unless others are given: what passes them is skipped."""
    limits = limits or Limits.of(plan)
    taken: dict[str, StepOutcome] = {}
    warm = Warm()
    for step in plan.steps:
        began = time.monotonic()
        try:
            ended = _take(step, plan, taken, store, registry, machine, watcher, warm, checkpoint_seconds, limits)
            watcher.finished(step.id, ended.status, time.monotonic() - began, ended.reason, ended.values or None)
        except (KeyboardInterrupt, Terminated) as interrupt:
            left = StepOutcome("skipped", reason=INTERRUPTED)
            return Outcome({one.id: taken.get(one.id, left) for one in plan.steps}, interrupt)
        taken[step.id] = ended
    return Outcome(taken)


def _take(
    step: Step,
    plan: Plan,
    taken: Mapping[str, StepOutcome],
    store: Store,
    registry: Registry,
    machine: Machine,
    watcher: Progress,
    warm: Warm,
    checkpoint_seconds: float,
    limits: Limits,
) -> StepOutcome:
    closed = _closed(step, taken)
    if closed is not None:
        return StepOutcome("skipped", reason=closed)
    complete = all(taken[need].status in {"done", "cached"} for need in step.needs)
    if complete and (found := find(step, store, machine)) is not None:
        return StepOutcome("cached", found)
    needs = {need: Need(plan.step(need), result) for need in step.needs if (result := taken[need].result) is not None}
    try:
        if step.kind != "decide":
            limits.check_time()
        watcher.started(step.id, None)
        check = limits.watch(step, machine) if step.kind != "decide" else lambda: None
        tell = _teller(step, watcher)
        result, worked = execute(step, needs, store, registry, machine, tell, checkpoint_seconds, warm, check)
    except RefusedError:
        raise
    except OverBudgetError as spent:
        return StepOutcome("skipped", reason=str(spent))
    except CustomspecError as error:
        log.error("%s failed", step.id, exc_info=error)
        return StepOutcome("failed", reason=str(error), exit=error.exit)
    return StepOutcome("done" if worked else "cached", result)


def _closed(step: Step, taken: Mapping[str, StepOutcome]) -> str | None:
    """Why a step cannot or need not run: what it needs is not there, or the ladder has reached the goal."""
    if step.gate is not None and (reached := _reached(step.gate, taken)) is not None:
        return reached
    if step.kind == "decide":
        return None  # decides among whatever was reached
    missing = [need for need in step.needs if taken[need].result is None]
    return f"{missing[0]} {taken[missing[0]].status}" if missing else None


def _reached(gate: Gate, taken: Mapping[str, StepOutcome]) -> str | None:
    goal = Goal(metric=gate.metric, at_least=gate.at_least, at_most=gate.at_most)
    for id in gate.after:
        result: Result | None = taken[id].result
        if result is not None and goal.reached_by(value := result.values["metrics"][gate.metric]["value"]):
            _, key, split = id.split(":")
            return f"{key} already reaches the goal: {gate.metric} {value:.3f} on the {split} rows"
    return None


def _teller(step: Step, watcher: Progress) -> Tell:
    return lambda done, total, note, values=None: watcher.progress(step.id, done, total, note, values)
