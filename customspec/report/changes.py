"""What differs between the specs of two runs, by their plans, which hold what a spec leaves open, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec.plan import Plan, Step

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One setting, before and after; None in the place of what is not there, `there` says where it is."""

    path: str
    before: Any
    after: Any
    there: tuple[bool, bool]

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "before": self.before, "after": self.after, "there": list(self.there)}


def changes(base: Plan, plan: Plan) -> list[Change]:
    """Every setting that differs; what all common candidates changed alike is told once, as `every candidate`."""
    before, after = _candidates(base), _candidates(plan)
    common = [id for id in before if id in after]
    own = {id: dict(_differences(before[id], after[id])) for id in common}
    alike = _alike(list(own.values()))
    return [
        *_changes("", _differences(_shared(base), _shared(plan))),
        *(Change(id, before[id]["technique"], None, (True, False)) for id in before if id not in after),
        *(Change(id, None, after[id]["technique"], (False, True)) for id in after if id not in before),
        *_changes("every candidate: " if len(common) > 1 else f"{''.join(common)}: ", alike.items()),
        *(
            change
            for id, found in own.items()
            for change in _changes(f"{id}: ", ((path, pair) for path, pair in found.items() if path not in alike))
        ),
    ]


def counted(settings: int) -> str:
    """`2 settings differ`."""
    return "1 setting differs" if settings == 1 else f"{settings} settings differ"


def _shared(plan: Plan) -> dict[str, Any]:
    decide, data = plan.step("decide").params, plan.step("data")
    goal = decide["goal"] or {}
    return {
        "strategy": plan.strategy,
        **{f"goal {name}": value for name, value in goal.items()},
        "confidence": decide["confidence"],
        "margin": decide["margin"],
        "metrics": ", ".join(plan.metrics),
        "group": decide["group"],
        **{f"{split} data": _data(data, split) for split in data.params["splits"]},
    }


def _data(step: Step, split: str) -> str:
    """The names of the files, and enough of the digest to see that their bytes differ."""
    labels = ", ".join(label for label, _ in step.sources.get(split, ()))
    return f"{labels} ({_short(step.params['splits'][split])})"


def _candidates(plan: Plan) -> dict[str, dict[str, Any]]:
    """Each id's settings, those of its first seed."""
    found: dict[str, dict[str, Any]] = {}
    seeds: dict[str, list[int]] = {}
    for candidate in plan.candidates:
        seeds.setdefault(candidate.id, []).append(candidate.seed)
        if candidate.id not in found:
            found[candidate.id] = {"technique": candidate.technique, **_settings(plan, candidate.key)}
    return {id: {**settings, "seeds": ", ".join(map(str, seeds[id]))} for id, settings in found.items()}


def _settings(plan: Plan, key: str) -> dict[str, Any]:
    steps = [step for step in plan.steps if step.candidate == key]
    params = {name: value for step in steps for name, value in step.params.items()}
    model = next((plan.step(id) for step in steps for id in step.needs if plan.step(id).kind == "model"), None)
    tuned = params["technique"] or {"options": {}}
    asked = params["prompting"] or {"options": {}}
    return {
        "base model": None if model is None else f"{model.sources.get('label')} ({_short(model.params['digest'])})",
        **{f"prompt.{name}": text for name, text in params["prompt"].items()},
        "choices": None if params["choices"] is None else ", ".join(params["choices"]),
        **{f"generation.{name}": value for name, value in (params["generation"] or {}).items()},
        "prompting": asked.get("name"),
        **tuned["options"],
        **asked["options"],
        "on_long": params["on_long"],
        "limit": params["limit"],
        "max_steps": params.get("max_steps") or tuned["options"].get("max_steps"),
    }


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for path in dict.fromkeys([*before, *after]):
        pair = before.get(path, ABSENT), after.get(path, ABSENT)
        if pair[0] != pair[1]:
            yield path, pair


def _alike(found: Sequence[Mapping[str, tuple[Any, Any]]]) -> dict[str, tuple[Any, Any]]:
    first = found[0] if found else {}
    return {path: pair for path, pair in first.items() if all(other.get(path) == pair for other in found)}


def _changes(prefix: str, found: Any) -> Iterator[Change]:
    for path, (before, after) in found:
        there = before is not ABSENT, after is not ABSENT
        yield Change(prefix + path, before if there[0] else None, after if there[1] else None, there)


def _short(digest: str | None) -> str:
    return "not resolved" if digest is None else digest.removeprefix("sha256:")[:12]
