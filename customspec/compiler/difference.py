"""Two plans, or two locks, side by side: which steps would be run again, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from customspec.compiler.locking import Section, flat
from customspec.plan import Plan, Step
from customspec.report.text import clipped

LONGEST: Final = 60  # characters of a value in a reason


@dataclass(frozen=True, slots=True)
class Rerun:
    """A step of both plans whose result would have to be made again."""

    step: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """`gone`: steps of the first alone; `new`: of the second alone; `other`: what differs and re-runs nothing."""

    rerun: tuple[Rerun, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    other: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.rerun or self.gone or self.new or self.other)

    def to_json(self) -> dict[str, Any]:
        return {"same": self.is_empty, **asdict(self)}


def between_plans(first: Plan, second: Plan) -> Difference:
    """The reasons are the parameters that differ, or what is needed and differs."""
    old, new = {step.id: step for step in first.steps}, {step.id: step for step in second.steps}
    changed = {id for id in old.keys() & new.keys() if old[id].fingerprint != new[id].fingerprint}
    rerun = tuple(Rerun(id, _reasons(old[id], new[id], changed)) for id in new if id in changed)
    gone, added = tuple(id for id in old if id not in new), tuple(id for id in new if id not in old)
    other = () if first.name == second.name else (f"name: {first.name} → {second.name}",)
    return Difference(rerun, gone, added, other)


def between_locks(first: Section, second: Section) -> Difference:
    """The reasons are as far as a lock tells: the data, the model, the prompt, the technique, a package."""
    old, new = first["steps"], second["steps"]
    changed = sorted(id for id in old.keys() & new.keys() if old[id] != new[id])
    reasons = list(_changes(_telling(first), _telling(second)))
    rerun = tuple(Rerun(id, _of_step(id, reasons)) for id in changed)
    said = {name for id in changed for name, _ in reasons if _concerns(name, id)}
    other = tuple(text for name, text in reasons if name not in said and not name.startswith("candidates."))
    gone, added = tuple(sorted(old.keys() - new.keys())), tuple(sorted(new.keys() - old.keys()))
    return Difference(rerun, gone, added, other)


def _reasons(old: Step, new: Step, changed: set[str]) -> tuple[str, ...]:
    own = tuple(text for _, text in _changes(flat_list(old.params), flat_list(new.params)))
    needed = tuple(f"needs {id}" for id in new.needs if id in changed or id not in old.needs)
    return (*own, *needed) or ("it needs fewer steps",)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each name whose values differ, and how, in words."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, f"{name}: {_short(old.get(name))} → {_short(new.get(name))}"


def flat_list(value: Any, name: str = "") -> dict[str, str]:
    """As `flat`, the items of lists by their numbers."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return flat_list({str(index): item for index, item in enumerate(value)}, name)
    if not isinstance(value, Mapping):
        return {name: str(value)}
    parts = (flat_list(inner, f"{name}.{key}" if name else str(key)) for key, inner in value.items())
    return {path: leaf for part in parts for path, leaf in part.items()}


def _short(text: str | None) -> str:
    return "nothing" if text is None else clipped(text, LONGEST)


def _telling(section: Section) -> dict[str, str]:
    """The entries that give reasons. Those of steps and of the plan only follow from others."""
    return flat({name: part for name, part in section.items() if name not in {"steps", "plan"}})


def _of_step(id: str, reasons: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(text for name, text in reasons if _concerns(name, id)) or ("a step that it needs",)


def _concerns(name: str, id: str) -> bool:
    """Whether an entry of a lock is part of what a step does or needs."""
    part, _, rest = name.partition(".")
    if part == "candidates":
        return ":" in id and rest.startswith(f"{id.split(':')[1]}.")
    if part == "data":
        return not id.startswith("model")
    if part == "models":
        return id != "data"
    if part == "rules":
        return id.startswith("evaluate:") if rest.startswith("metrics.") else id == "decide"
    return part == "packages"
