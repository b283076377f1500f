"""A spec with mistakes in its keys and values, understood as far as it can be: a copy without them, and the parts that
are then in doubt, so that nothing is told which is only a consequence of a mistake."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from customspec.compiler.problems import Problems
from customspec.compiler.renames import certain_rename
from customspec.compiler.validation import Faults, faults_of, fields_of, meant_by, tell
from customspec.errors import MOST_PROBLEMS
from customspec.source import Document, KeyPath, Mark
from customspec.spec import Spec
from customspec.suggest import NO_KEYS

Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]
ROUNDS = 6  # a section that is renamed brings forth the mistakes below it: one level a round
NO_ENTRY = "unknown"
STAND_INS: Mapping[KeyPath, Any] = MappingProxyType(
    {
        ("customspec",): 1,
        ("name",): "unknown",
        ("base_model",): {"path": "unknown"},
        ("data",): {"test": "unknown"},
        ("data", "test"): "unknown",
        ("prompt",): {"user": "{{ unknown }}", "answer": "{{ unknown }}"},
        ("prompt", "user"): "{{ unknown }}",
        ("prompt", "answer"): "{{ unknown }}",
    }
)
"""What stands for a required part that is wrong; it is in doubt, and nothing is said of it."""
HARMLESS = NO_KEYS.keys() - {"include", "extends"}
"""Unknown keys that were not meant to be any other."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The spec as it was meant. `document` has the places of the person's file, and its `techniques` as written, where
    `spec` has stand-ins for what is wrong; `unsure` are the parts that are in doubt."""

    spec: Spec
    document: Document
    unsure: frozenset[KeyPath]


@dataclass(frozen=True, slots=True)
class _Copy:
    """The document as far as it is mended. `entries`: the indices of techniques that are wrong; `renamed`: the paths
    that have another key in the person's file."""

    document: Document
    unsure: frozenset[KeyPath] = frozenset()
    entries: frozenset[int] = frozenset()
    renamed: frozenset[KeyPath] = frozenset()

    @property
    def data(self) -> Mapping[str, Any]:
        """What the model of a spec is to take."""
        data = self.document.data
        if not self.entries:
            return data
        techniques = [NO_ENTRY if index in self.entries else one for index, one in enumerate(data["techniques"])]
        return {**data, "techniques": techniques}

    def inside(self, path: KeyPath) -> Mapping[str, Any]:
        """The mapping at a path; an empty one where something else stands there."""
        found = self.document.value(path)
        return found if isinstance(found, Mapping) else {}

    def changed(self, path: KeyPath, change: Change, *unsure: KeyPath) -> _Copy:
        """A copy with another mapping at `path`, and more in doubt."""
        document = replace(self.document, data=_changed(self.document.data, path, change))
        return replace(self, document=document, unsure=self.unsure.union(unsure))


def mend(problems: Problems) -> Mended | None:
    """What the document of `problems` was meant to be, whose mistakes in keys and values they tell of already; those
    that these hid are added. None where too little can be understood."""
    copy = _Copy(problems.document)
    for turn in range(ROUNDS):
        try:
            return Mended(Spec.model_validate(copy.data), copy.document, copy.unsure)
        except ValidationError as invalid:
            faults = faults_of(invalid, copy.data)
        if len(faults) > MOST_PROBLEMS or _is_of_another_format(faults):
            return None
        if turn:
            problems.go_on(copy.document, copy.unsure)
            tell(Spec, {path: faults[path] for path in faults if _is_true(path, faults, copy)}, problems)
        copy = _mended(copy, faults)
    return None


def _is_of_another_format(faults: Faults) -> bool:
    return any(path == ("customspec",) and errors[0]["type"] != "missing" for path, errors in faults.items())


def _is_true(path: KeyPath, faults: Faults, copy: _Copy) -> bool:
    """Whether a mistake that only the copy shows is the person's own, and no consequence of another."""
    parts = {path[0]} if path else set(_named(path, faults))
    return path not in copy.renamed and parts.isdisjoint(one[0] for one in copy.unsure)


def _named(path: KeyPath, faults: Faults) -> list[str]:
    """The spec's keys that a message names."""
    return [word for word in re.findall(r"`(\w+)", faults[path][0]["msg"]) if word in Spec.model_fields]


def _mended(copy: _Copy, faults: Faults) -> _Copy:
    """The copy without these mistakes: keys renamed, or left out with all that may then be otherwise in doubt."""
    unknown = [path for path, errors in faults.items() if errors[0]["type"] == "extra_forbidden"]
    names = {path: _name(copy, path) for path in unknown}
    targets = Counter((*path[:-1], new) for path, (new, _) in names.items())
    taken = {path for path, (new, _) in names.items() if targets[*path[:-1], new] == 1 and new is not None}
    taken -= {path for path, (new, is_certain) in names.items() if path[0] == "techniques" and not is_certain}
    renames = {path: names[path] for path in taken if names[path][0] not in copy.inside(path[:-1])}
    missing = {path for path, errors in faults.items() if errors[0]["type"] == "missing"}
    found = missing & {(*path[:-1], str(new)) for path, (new, _) in renames.items()}
    before = copy.unsure
    for path in unknown:
        copy = copy if path in renames else _without_unknown(copy, path, names[path][0])
    for path in (one for one in faults if one not in found and one not in names):
        place = path or tuple(_named(path, faults)[:1])
        copy = _without_wrong(copy, place, before) if place else copy
    return _renamed(copy, renames)


def _name(copy: _Copy, path: KeyPath) -> tuple[str | None, bool]:
    """What an unknown key is probably meant to be, and whether that is certain."""
    certain = certain_rename(copy.document, path[:-1], str(path[-1]), fields_of(Spec, path[:-1]))
    return (meant_by(Spec, path), False) if certain is None else (certain.new, True)


def _renamed(copy: _Copy, renames: Mapping[KeyPath, tuple[str | None, bool]]) -> _Copy:
    """A copy with keys renamed, and their marks; a name that is not certain leaves its part in doubt."""
    for path, (new, is_certain) in renames.items():
        target = (*path[:-1], str(new))
        copy = copy.changed(path[:-1], _rename(path[-1], str(new)), *(() if is_certain else (target,)))
        copy = replace(copy, renamed=copy.renamed | {target})
    if not renames:
        return copy
    marks = dict(_moved(copy.document.marks, {path: str(new) for path, (new, _) in renames.items()}))
    return replace(copy, document=replace(copy.document, marks=marks))


def _rename(old: str | int, new: str) -> Change:
    return lambda inside: {new if key == old else key: value for key, value in inside.items()}


def _moved(marks: Mapping[KeyPath, Mark], renames: Mapping[KeyPath, str]) -> Iterator[tuple[KeyPath, Mark]]:
    for path, mark in marks.items():
        for length in range(1, len(path) + 1):
            if new := renames.get(path[:length]):
                path = (*path[: length - 1], new, *path[length:])  # none is renamed inside another
                break
        yield path, mark


def _without_unknown(copy: _Copy, path: KeyPath, meant: str | None) -> _Copy:
    """The copy without an unknown key; in doubt is what it may have been meant for."""
    parent, key = path[:-1], str(path[-1])
    if path[0] == "techniques":
        return replace(copy, entries=copy.entries | {int(path[1])})
    doubts = set() if key in HARMLESS else set(_maybe(copy, parent, key))
    doubts |= set() if meant is None else {(*parent, meant)}
    return copy.changed(path[:-1], _less(path[-1:]), *doubts)


def _maybe(copy: _Copy, parent: KeyPath, key: str) -> Iterator[KeyPath]:
    """The parts that are not there, and that an unknown key may be: those beside it, and those of its name."""
    for place in {parent, (), *((section,) for section in Spec.model_fields)}:
        for known in fields_of(Spec, place):
            if known not in copy.inside(place) and (place == parent or known == key):
                yield (*place, known)


def _without_wrong(copy: _Copy, path: KeyPath, unsure: Set[KeyPath]) -> _Copy:
    """The copy without a wrong value: an entry, a key of a section, or a whole part where `unsure` has the key."""
    if path[:1] == ("techniques",) and len(path) > 1:
        return replace(copy, entries=copy.entries | {int(path[1])})
    templates = _missing_templates(copy) if path == ("prompt",) and not copy.inside(path).keys() & {"messages"} else []
    section = path[:1] if path[:2] in unsure or not copy.inside(path[:1]) else path[:2]
    for part in templates or [section]:
        stand_in = STAND_INS.get(part)
        change = _less(part[-1:]) if stand_in is None else _more(part[-1], stand_in)
        copy = copy.changed(part[:-1], change, part)
    return copy


def _missing_templates(copy: _Copy) -> list[KeyPath]:
    inside = copy.inside(("prompt",))
    return [("prompt", part) for part in ("user", "answer") if inside and inside.get(part) is None]


def _less(keys: KeyPath) -> Change:
    return lambda inside: {key: value for key, value in inside.items() if key not in keys}


def _more(key: str | int, value: object) -> Change:
    return lambda inside: {**inside, str(key): value}


def _changed(data: Any, path: KeyPath, change: Change) -> Any:
    """The data with another mapping at `path`; what is beside it is shared."""
    if not path:
        return change(data)
    inner = _changed(data[path[0]], path[1:], change)
    if isinstance(data, list):
        return [inner if index == path[0] else one for index, one in enumerate(data)]
    return {**data, path[0]: inner}
