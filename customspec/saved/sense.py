"""Whether the parts of a plan fit to one another, as those of every compiled plan do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from customspec.plan import Gate, Plan, Step


def doubts(plan: Plan) -> Iterator[str]:
    """What does not fit, a sentence each."""
    keys = [candidate.key for candidate in plan.candidates]
    for candidate in plan.candidates:
        if candidate.key != f"{candidate.id}@{candidate.seed}" or keys.count(candidate.key) > 1:
            yield f"candidate {candidate.key}: its key is not its own"
    before: dict[str, Step] = {}
    for step in plan.steps:
        yield from (f"{step.id}: {doubt}" for doubt in _doubts_of(step, plan, before))
        if step.candidate is not None and step.candidate not in keys:
            yield f"{step.id}: there is no candidate {step.candidate}"
        before[step.id] = step
    for id in {"data", "decide"} - before.keys():
        yield f"there is no step {id}"


def _doubts_of(step: Step, plan: Plan, before: Mapping[str, Step]) -> Iterator[str]:
    if step.id in before or not _is_named_so(step):
        yield "another id is expected"
    for need in (*step.needs, *(step.gate.after if step.gate else ())):
        if need not in before:
            yield f"{need} does not come before it"
    if step.gate is not None:
        yield from _doubts_of_gate(step.gate, plan, before)
    yield from _doubts_of_kind(step, plan)


def _doubts_of_kind(step: Step, plan: Plan) -> Iterator[str]:
    match step.kind:
        case "model":
            if not {"path", "ref"} <= step.sources.keys():
                yield "its model is not resolved"
        case "data":
            if not step.sources.keys() <= step.params["splits"].keys():
                yield "its files are not those of its splits"
        case "decide":
            yield from _doubts_of_decision(step, plan)
        case _:
            prompting = step.params["prompting"] or {"options": {}}
            if not step.sources.get("files", {}).keys() <= prompting["options"].keys():
                yield "it names files that are none of its options"
            if step.kind == "evaluate" and not set(plan.metrics) <= _measured(step):
                yield "it does not measure what the plan asks for"


def _is_named_so(step: Step) -> bool:
    match step.kind:
        case "evaluate":
            return step.id == f"evaluate:{step.candidate}:{step.params['split']}"
        case "fit" | "train":
            return step.id == f"{step.kind}:{step.candidate}"
        case "search":
            return step.id == f"search:{str(step.candidate).rpartition('@')[0]}"
        case "model":
            return step.id.partition(":")[0] == "model"
        case _:
            return step.id == step.kind


def _doubts_of_gate(gate: Gate, plan: Plan, before: Mapping[str, Step]) -> Iterator[str]:
    bound = {"metric": gate.metric, "at_least": gate.at_least, "at_most": gate.at_most}
    if {name: value for name, value in bound.items() if value is not None} != plan.goal:
        yield "its gate is not the plan's goal"
    for id in gate.after:
        if id in before and (before[id].kind != "evaluate" or gate.metric not in _measured(before[id])):
            yield f"its gate looks for {gate.metric}, which {id} does not measure"


def _doubts_of_decision(step: Step, plan: Plan) -> Iterator[str]:
    for name in ("strategy", "goal", "cost"):
        if step.params[name] != getattr(plan, name):
            yield f"its {name} is not the plan's"
    if step.params["metric"]["id"] != plan.metrics[0]:
        yield "its metric is not the plan's first"


def _measured(step: Step) -> set[str]:
    return {metric["id"] for metric in step.params["metrics"]}
