"""Documents changed in one place, as a stranger or a bad disk might change them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
REMOVED = object()
VALUES: tuple[Any, ...] = (REMOVED, None, 5, -1, 1e300, 10**30, True, "x", "../../x", "NaN", "\x1b[2Jx", [], [[]], {})


def mutations(document: Any, count: int, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """So many of the documents that differ from this one in a single value, with what was done, drawn by seed."""
    ways = [(path, value) for path in _paths(document) if path for value in VALUES]
    for path, value in random.Random(seed).sample(ways, min(count, len(ways))):
        at = ".".join(map(str, path))
        yield f"{at} = {'nothing' if value is REMOVED else value!r}", _changed(document, path, value)


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value[:2]):
            yield from _paths(inner, (*path, at))


def _changed(document: Any, path: Path, value: Any) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed
