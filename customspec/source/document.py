"""A document: plain data, and the place of every key and value of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from customspec.errors import Location, UsageError

KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a path's key and its value stand; items of lists have no key. `length`: characters of a value that is a
    scalar without quotes, on one line; else 0."""

    key: Location | None
    value: Location
    length: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text as plain data (dict, list, str, int, float, bool, None)."""

    file: str
    text: str
    data: Mapping[str, Any]
    marks: Mapping[KeyPath, Mark]

    def locate(self, path: KeyPath, *, key: bool = False) -> Location:
        """The place of the value at `path`, or of its key; of what encloses it, where the path is not in the file."""
        for length in range(len(path), 0, -1):
            mark = self.marks.get(path[:length])
            if mark is not None:
                return mark.key if key and mark.key else mark.value
        return Location(self.file, 1, 1)

    def value(self, path: KeyPath) -> object:
        """What stands at `path`; None where nothing does."""
        found: object = self.data
        for part in path:
            if isinstance(found, list) and isinstance(part, int):
                found = found[part] if part < len(found) else None
            else:
                found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def length(self, path: KeyPath) -> int | None:
        """Characters of the unquoted scalar at `path`, where one stands there."""
        mark = self.marks.get(path)
        return (mark.length or None) if mark else None

    def with_value(self, path: KeyPath, value: object, *, origin: str) -> Document:
        """A new document with `value` at `path`, whose place is `origin`, line 1, column 1.

        Missing (or empty) mappings on the way are made; an item of a list can only be replaced.
        Raises UsageError where the path leads through a scalar or to an item that is not there.
        """
        if not path:
            raise UsageError(f"{origin}: names no key")
        data = _placed(self.data, path, 0, value, origin)
        place = Location(origin, 1, 1)
        marks = {known: mark for known, mark in self.marks.items() if known[: len(path)] != path}
        for length in range(1, len(path) + 1):
            marks.setdefault(path[:length], Mark(None if isinstance(path[length - 1], int) else place, place))
        return replace(self, data=data, marks=marks)


def _placed(inside: Any, path: KeyPath, depth: int, value: object, origin: str) -> Any:
    """A copy of `inside`, which stands at `path[:depth]`, with `value` at `path`; what is beside it is shared."""
    if depth == len(path):
        return value
    step = path[depth]
    if isinstance(inside, list):
        index = _index(inside, path[: depth + 1], origin)
        return [*inside[:index], _placed(inside[index], path, depth + 1, value, origin), *inside[index + 1 :]]
    if inside is not None and not isinstance(inside, Mapping):
        raise UsageError(f"{origin}: `{_dotted(path[:depth])}` is {_kind(inside)}, it has no `{step}`")
    if not isinstance(step, str):
        raise UsageError(f"{origin}: `{_dotted(path[:depth])}` is not a list, it has no item {step}")
    known = inside or {}
    return {**known, step: _placed(known.get(step), path, depth + 1, value, origin)}


def _index(items: list[Any], path: KeyPath, origin: str) -> int:
    step = path[-1]
    where = f"{origin}: `{_dotted(path[:-1])}` is a list"
    if not isinstance(step, int):
        raise UsageError(f"{where}; name one of its items by number, not `{step}`")
    if not 0 <= step < len(items):
        raise UsageError(f"{where} of {len(items)}, it has no item {step}; the first is 0")
    return step


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"
