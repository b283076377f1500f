"""The results document: what every candidate reached and cost, and the decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from customspec.decide.decision import Decision
from customspec.decide.seeds import spread_of
from customspec.decide.wording import bound
from customspec.machine import Machine
from customspec.plan import Candidate, Plan, Step
from customspec.runners.outcome import Outcome, StepOutcome
from customspec.runners.spending import spending_of
from customspec.spec import Cost, Goal

VERSION = 1
TRAINING = ("rows", "steps", "kept_step", "untrained_loss", "losses", "evaluations", "notes")


def results_document(plan: Plan, outcome: Outcome, machine: Machine, run: str) -> dict[str, Any]:
    """Plain JSON; what is not a finite number is null."""
    candidates = [_candidate(candidate, plan, outcome) for candidate in plan.candidates]
    document = {
        "results": VERSION,
        "name": plan.name,
        "spec_digest": plan.spec_digest,
        "plan_digest": plan.digest,
        "test_digest": next((step.params["splits"].get("test") for step in plan.steps if step.kind == "data"), None),
        "run": run,
        "strategy": plan.strategy,
        "goal": plan.goal,
        "shortened": dict(plan.shortened) or None,
        "environment": environment_of(machine),
        "candidates": candidates,
        "decision": {**_decision(plan, outcome), "seeds": spread_of(candidates, plan.metrics[0])},
        "steps": {
            id: {"status": step.status, "reason": step.reason, "fingerprint": plan.step(id).fingerprint}
            for id, step in outcome.steps.items()
        },
    }
    return finite(document)  # type: ignore[no-any-return]


def environment_of(machine: Machine) -> dict[str, Any]:
    """The machine and the library versions that the numbers were made with."""
    return {
        "python": machine.python,
        "torch": machine.torch,
        "transformers": machine.transformers,
        "peft": machine.peft,
        "device": machine.device,
        "device_name": machine.device_name,
        "compute_dtype": machine.compute_dtype,
        "cores": machine.cores,
        "memory_bytes": machine.memory_bytes,
    }


def artifact_of(key: str) -> str:
    """A candidate's folder in the run folder."""
    return f"candidates/{key}"


def finite(value: Any) -> Any:
    """The same value with null for every number that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _candidate(candidate: Candidate, plan: Plan, outcome: Outcome) -> dict[str, Any]:
    steps = [(step, outcome.steps[step.id]) for step in plan.steps if step.candidate == candidate.key]
    status, reason = _status([taken for _, taken in steps], candidate.skipped)
    evaluated = {step.params["split"]: taken for step, taken in steps if step.kind == "evaluate" and taken.result}
    metrics = {split: taken.values["metrics"] for split, taken in evaluated.items()}
    return {
        "key": candidate.key,
        "id": candidate.id,
        "technique": candidate.technique,
        "family": candidate.family,
        "seed": candidate.seed,
        "status": status,
        "reason": reason,
        "metrics": {"validation": metrics.get("validation"), "test": metrics.get("test")},
        "notes": [note for _, taken in steps for note in taken.values.get("notes", ())],
        "estimate": dict(candidate.estimate),
        "training": _training(steps),
        "gauge": candidate.gauge,
        "search": _search(steps, outcome),
        "fit": _fit(steps),
        "cost": {**_cost(candidate, steps), "price": _price(plan.cost, steps)},
        "artifact": artifact_of(candidate.key) if status in {"done", "cached"} else None,
    }


def _status(steps: Sequence[StepOutcome], skipped: str | None) -> tuple[str, str | None]:
    if skipped is not None:
        return "skipped", skipped
    for status in ("failed", "skipped"):
        found = [step for step in steps if step.status == status]
        if found:
            return status, found[0].reason
    return ("cached" if all(step.status == "cached" for step in steps) else "done"), None


def _training(steps: Sequence[tuple[Step, StepOutcome]]) -> dict[str, Any] | None:
    """How the training went: the loss by step, the goal's metric on the validation rows by step, the step kept."""
    trained = next((taken.values for step, taken in steps if step.kind == "train" and taken.result), None)
    return None if trained is None else {name: trained.get(name) for name in TRAINING}


def _cost(candidate: Candidate, steps: Sequence[tuple[Step, StepOutcome]]) -> dict[str, Any]:
    done = [(step, taken) for step, taken in steps if taken.result]
    trained: Mapping[str, Any] = next((taken.values for step, taken in done if step.kind == "train"), {})
    evaluated = [taken.values for step, taken in done if step.kind == "evaluate"]
    seconds = sum(values["evaluate_seconds"] for values in evaluated)
    rows = sum(values["rows"] for values in evaluated)
    peaks = [taken.values["peak_memory_bytes"] for _, taken in done if taken.values.get("peak_memory_bytes")]
    tokens = sum(values["prompt_tokens_per_example"] * values["rows"] for values in evaluated)
    return {
        "train_seconds": trained.get("train_seconds", 0.0 if candidate.family == "prompting" else None),
        **{f"{kind}_seconds": _seconds(kind, done) for kind in ("search", "fit")},
        "train_rows_per_second": trained.get("rows_per_second"),
        "evaluate_seconds": seconds if evaluated else None,
        "rows_per_second": rows / seconds if seconds else None,
        "latency_seconds": next(filter(None, (values["latency_seconds"] for values in evaluated)), None),
        "trainable_parameters": trained.get("trainable_parameters", candidate.trainable_parameters),
        "total_parameters": candidate.total_parameters,
        "peak_memory_bytes": max(peaks, default=None),
        "artifact_bytes": trained.get("artifact_bytes", 0 if candidate.family == "prompting" else None),
        "prompt_tokens_per_example": tokens / rows if rows else None,
        "dropped_rows": sum(len(taken.values.get("dropped", ())) for _, taken in done),
        "cut_rows": sum(len(taken.values.get("cut", ())) for _, taken in done),
    }


def _seconds(kind: str, done: Sequence[tuple[Step, StepOutcome]]) -> float | None:
    return next((taken.values[f"{kind}_seconds"] for step, taken in done if step.kind == kind), None)


def _fit(steps: Sequence[tuple[Step, StepOutcome]]) -> dict[str, Any] | None:
    """The options that the prompt was fitted to, and how many rows were scored for it."""
    found = next((taken.values for step, taken in steps if step.kind == "fit" and taken.result), None)
    return None if found is None else {name: found[name] for name in ("options", "scored")}


def _search(steps: Sequence[tuple[Step, StepOutcome]], outcome: Outcome) -> dict[str, Any] | None:
    """The search that a candidate's steps rest on; a search serves all seeds."""
    needed = (outcome.steps[need] for step, _ in steps for need in step.needs if need.startswith("search:"))
    found = next((taken.values for taken in needed if taken.result), None)
    if found is None:
        return None
    ended = [trial["ended"] for trial in found["trials"]]
    counts = {"trials": len(ended), **{kind: ended.count(kind) for kind in ("done", "stopped", "failed")}}
    return {**{key: found[key] for key in ("chosen", "metric", "value")}, **counts}


def _price(cost: Mapping[str, Any] | None, steps: Sequence[tuple[Step, StepOutcome]]) -> dict[str, float] | None:
    """In money: once, for each request, and for a month's requests; None where nothing was evaluated or asked."""
    done = [taken.values for _, taken in steps if taken.result]
    if cost is None or not any("evaluate_seconds" in values for values in done):
        return None
    return spending_of(done).priced(Cost.model_validate(cost))


def _decision(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    decided = outcome.steps["decide"]
    if decided.result is not None:
        values = decided.values
        left_out = _stopped(plan, outcome) if values["ending"] in {"not_reached", "nothing"} else ()
        return {**values, "reasons": [*values["reasons"], *left_out]}
    missed = False if plan.goal is not None else None
    nothing = Decision("nothing", decided.reason or "nothing was decided", missed)
    return {**nothing.to_json(), "pairs": []}


def _stopped(plan: Plan, outcome: Outcome) -> list[str]:
    """Which candidates the budget stopped while they ran, and what each had reached on the validation rows by then."""
    said: dict[str, str] = {}
    for candidate in plan.candidates:
        steps = [(step, outcome.steps[step.id]) for step in plan.steps if step.candidate == candidate.key]
        why = next((taken.reason for _, taken in steps if taken.cause == "budget"), None)
        if why is not None and not candidate.gauge and candidate.id not in said:
            said[candidate.id] = f"{candidate.key} was stopped by the budget: {why}{_had_reached(plan, steps)}"
    return list(said.values())


def _had_reached(plan: Plan, steps: Sequence[tuple[Step, StepOutcome]]) -> str:
    metric = plan.metrics[0]
    choosing = (one for step, one in steps if step.kind == "evaluate" and step.params["split"] == "validation")
    taken = next((one for one in choosing if one.result), None)
    if taken is None or plan.goal is None:
        return ""
    goal, value = Goal.model_validate(plan.goal), taken.values["metrics"][metric]["value"]
    does = "reaches" if goal.reached_by(value) else "does not reach"
    return f"; its {metric} on the validation rows, {value:.3f}, {does} {bound(goal)}"
