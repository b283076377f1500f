"""Behind a mistake in keys or values the rest of a spec is checked; what is only its consequence is not told."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from customspec.cli.roots import roots_of
from customspec.compiler import compile_document
from customspec.errors import SpecError
from customspec.registry import discover
from customspec.source import KeyPath, parse
from customspec.spec import Spec
from support import Workspace, colours, make_model

# every part decides about something: with the default in its place, another part would be wrong
GOOD: dict[str, Any] = {
    "customspec": 1,
    "name": "colours",
    "description": "words",
    "base_model": {"path": "model"},
    "data": {
        "train": "train.jsonl",
        "validation": "validation.jsonl",
        "test": "test.jsonl",
        "group": "customer",
        "allow_overlap": 1,
        "on_long": "drop",
    },
    "prompt": {
        "system": "Is it warm or cold?",
        "user": "{{ text }}",
        "answer": "{{ label }}",
        "choices": ["warm", "cold"],
    },
    "generation": {"max_new_tokens": 4, "stop": ["."]},
    "metrics": ["accuracy", {"id": "mine", "macro_f1": {}}],
    "techniques": [
        {"zero_shot": {"calibrate": "contextual"}, "id": "larger", "base_model": {"path": "model2"}},
        {"few_shot": {"shots": 23}, "prompt": {"user": "Now: {{ text[:60] }}"}},
        {"lora": {"r": 2}, "search": {"lora_alpha": [2, 4], "trials": 2}, "seeds": [1, 2]},
    ],
    "goal": {"metric": "accuracy", "at_least": 0.75},
    "strategy": "ladder",
    "confidence": 0.6,
    "budget": {"minutes": 10_000, "memory": "64GiB"},
    "cost": {"requests_per_month": 10, "price_per_device_hour": 1.5},
    "gauge": "candidate",
    "seeds": [3],
}
WRONG: tuple[Any, ...] = (None, 5, [5], {"a": 1})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = Workspace(tmp_path_factory.mktemp("mending"))
    for name in ("model", "model2"):
        make_model(space.root / name, max_position_embeddings=4096)
    row = colours(1, 200)[0]
    for name, count, start in (("train", 22, 0), ("validation", 8, 100), ("test", 8, 200)):
        space.rows(f"{name}.jsonl", [{**one, "customer": f"{name} {i}"} for i, one in enumerate(colours(count, start))])
    long = {"text": "red " * 1100, "label": "warm", "customer": "long"}
    with (space.root / "train.jsonl").open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in ({**row, "customer": "twice"}, long))
    return space.root


def told(data: Any, folder: Path) -> list[tuple[int, str]]:
    """The line of each problem, with its message; each key stands on a line of its own."""
    document = parse(json.dumps(data, indent=1), str(folder / "spec.yaml"))
    try:
        compile_document(document, discover(), roots=roots_of(folder / "spec.yaml"), cache=folder / ".customspec")
    except SpecError as error:
        return [(one.location.line, f"{one.code} {one.message}") for one in error.problems]
    return []


def changed(path: KeyPath, **to: Any) -> Any:
    """The good spec with another value, or another name, at a path."""
    data = copy.deepcopy(GOOD)
    inside: Any = data
    for part in path[:-1]:
        inside = inside[part]
    if "value" in to:
        inside[path[-1]] = to["value"]
    else:
        items = [(to["name"] if key == path[-1] else key, value) for key, value in inside.items()]
        inside.clear()
        inside.update(items)
    return data


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    for key, inner in value.items():
        yield (*path, key)
        if isinstance(inner, dict):
            yield from paths(inner, (*path, key))


def lines_of(data: Any, path: KeyPath) -> set[int]:
    """The lines of a part, that of its section's key, and the first."""
    marks = parse(json.dumps(data, indent=1), "spec.yaml").marks
    inside = {mark.value.line for at, mark in marks.items() if at[: len(path)] == path}
    return inside | {(at.key or at.value).line for at in [marks.get(path[:-1])] if at} | {1, 2}


def mistakes(path: KeyPath) -> Iterator[Any]:
    """Copies of the good spec with one mistake in keys or values."""
    for name in ("zzqq", str(path[-1])[:-1]):
        yield changed(path, name=name)
    for value in WRONG:
        data = changed(path, value=value)
        try:
            Spec.model_validate(data)
        except ValidationError:
            yield data


def test_the_good_spec_is_good(folder: Path) -> None:
    assert told(GOOD, folder) == []


@pytest.mark.parametrize("path", tuple(paths(GOOD)), ids=lambda path: ".".join(map(str, path)))
def test_one_mistake_is_told_where_it_is_and_nowhere_else(path: KeyPath, folder: Path) -> None:
    for data in mistakes(path):
        renamed = [key for key in _inside(data, path[:-1]) if key not in _inside(GOOD, path[:-1])]
        lines = lines_of(data, (*path[:-1], *renamed) if renamed else path)
        found = told(data, folder)
        assert found
        assert [one for one in found if one[0] not in lines] == [], json.dumps(data, indent=1)


def _inside(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data
