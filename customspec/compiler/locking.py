"""What a lock holds of a spec: digests of all that its results depend on. Plain data, sorted when it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from customspec.compiler.packages import packages_of
from customspec.plan import Plan, Step, digest

LOCK: Final = 2  # the format's version
SHORT: Final = len("sha256:") + 16
ANSWERING: Final = ("prompt", "prompting", "choices", "generation")

Section = Mapping[str, Any]


def section_of(plan: Plan) -> dict[str, Any]:
    """One spec's part of a lock."""
    data = next(step for step in plan.steps if step.kind == "data")
    return {
        "rules": _rules(plan),
        "plan": plan.digest,
        "data": dict(data.params["splits"]),
        "models": {step.id: _model(step) for step in plan.steps if step.kind == "model"},
        "candidates": {candidate.key: _candidate(plan, candidate.key) for candidate in plan.candidates},
        "steps": {step.id: step.fingerprint[:SHORT] for step in plan.steps},
        "packages": packages_of(_distributions([step.params for step in plan.steps])),
    }


def _rules(plan: Plan) -> dict[str, Any]:
    """What decides, as it is written: it is short, and a change of it is told by its values."""
    decide = next(step.params for step in plan.steps if step.kind == "decide")
    measured = next(step.params["metrics"] for step in plan.steps if step.kind == "evaluate")
    rules = {
        "strategy": plan.strategy,
        "goal": plan.goal,
        "budget": plan.budget,
        "cost": plan.cost,
        "confidence": decide["confidence"],
        "margin": decide["margin"],
        "gauge": decide["gauge"],
        "group": decide["group"],
        "metrics": {metric["id"]: digest(metric)[:SHORT] for metric in measured},
    }
    return {name: value for name, value in rules.items() if value is not None}


def _model(step: Step) -> dict[str, Any]:
    ref, path = step.sources["ref"], Path(step.sources["path"])
    # the folder of a snapshot bears the commit's name
    origin = f"{ref['hub']}@{path.name}" if "hub" in ref else step.sources["label"]
    return {"from": origin, "digest": step.params["digest"]}


def _candidate(plan: Plan, key: str) -> dict[str, str]:
    """The prompt with its demonstrations' rule, and the technique with its options, each as a digest."""
    steps = [step for step in plan.steps if step.candidate == key]
    params = steps[-1].params
    return {
        "prompt": digest({name: params[name] for name in ANSWERING})[:SHORT],
        "technique": digest([params["technique"], params["seed"], params["on_long"]])[:SHORT],
    }


def _distributions(value: Any) -> set[str]:
    """All that a plan's steps say they are computed by."""
    if isinstance(value, Mapping):
        own = {value["distribution"]} if {"name", "distribution", "version"} <= value.keys() else set()
        return own.union(*map(_distributions, value.values()))
    return set[str]().union(*map(_distributions, value)) if isinstance(value, list | tuple) else set()


def commit_of(section: Section, hub: str) -> str | None:
    """The commit that a lock holds of a hub model."""
    for model in section.get("models", {}).values():
        name, _, commit = str(model.get("from")).rpartition("@")
        if name == hub:
            return commit
    return None


def drift(locked: Section, found: Section) -> tuple[str, ...]:
    """Every entry that differs, expected against found; steps only where no other entry explains the difference."""
    differences = tuple(_differences(flat(locked), flat(found)))
    telling = tuple(text for name, text in differences if not name.startswith(("steps.", "plan")))
    return telling or tuple(text for _, text in differences)


def _differences(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(locked.keys() | found.keys()):
        expected, there = locked.get(name), found.get(name)
        if expected != there:
            yield name, f"{name}: expected {expected or 'nothing'}, found {there or 'nothing'}"


def flat(value: Any, name: str = "") -> dict[str, str]:
    """The leaves of a tree by their paths."""
    if not isinstance(value, Mapping):
        return {name: str(value)}
    parts = (flat(inner, f"{name}.{key}" if name else str(key)) for key, inner in value.items())
    return {path: leaf for part in parts for path, leaf in part.items()}
