"""What is remembered of a spec's texts: never another answer than without, and bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import customspec.inputs.remembered as module
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.remembered import Remembered
from customspec.sandbox.client import Worker
from customspec.sandbox.templates import Allowance, Sandboxed, TemplateLimitError
from support import Workspace


def again(folder: Path, name: str = "spec") -> Remembered:
    return Remembered(folder, name)


def the_file(folder: Path) -> Path:
    (file,) = folder.glob("*.json")
    return file


def values(folder: Path) -> list[Any]:
    kept: Any = read_checksummed(the_file(folder))
    return list(kept["values"].values())


def test_what_was_put_is_known_the_next_time(tmp_path: Path) -> None:
    first = again(tmp_path)
    assert not first
    assert first.get(["a", 1]) is None
    first.put(["a", 1], {"texts": ["x"]})
    assert first.get(["a", 1]) == {"texts": ["x"]}
    first.save()
    second = again(tmp_path)
    assert second
    assert second.get(["a", 1]) == {"texts": ["x"]}
    assert second.get(["a", 2]) is None


def test_what_is_not_asked_for_is_forgotten(tmp_path: Path) -> None:
    first = again(tmp_path)
    for number in range(5):
        first.put(number, number)
    first.save()
    second = again(tmp_path)
    second.get(1)
    second.save()
    assert values(tmp_path) == [1]


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    first = again(tmp_path)
    first.put(1, 1)
    first.save()
    before = the_file(tmp_path).stat().st_ino  # a file is replaced as a whole
    second = again(tmp_path)
    second.get(1)
    second.save()
    assert the_file(tmp_path).stat().st_ino == before


def test_it_does_not_outgrow_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    one = again(tmp_path)
    for number in range(50):
        one.put(number, "ten chars.")
    one.save()
    assert 0 < len(values(tmp_path)) < 10


def test_without_a_folder_nothing_is_kept() -> None:
    nowhere = Remembered()
    nowhere.put(1, 1)
    nowhere.save()
    assert nowhere.get(1) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", None])
def test_a_damaged_file_is_no_memory(content: bytes | None, tmp_path: Path) -> None:
    first = again(tmp_path)
    first.put(1, 1)
    first.save()
    file = the_file(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"1", b"2") if content is None else content)
    assert not again(tmp_path)


@pytest.mark.parametrize("value", [None, 7, [], {}, {"makers": "other", "values": {}}])
def test_a_file_of_another_kind_is_no_memory(value: object, tmp_path: Path) -> None:
    first = again(tmp_path)
    first.put(1, 1)
    first.save()
    write_checksummed(the_file(tmp_path), value)
    assert not again(tmp_path)


@pytest.mark.parametrize(
    "message",
    [7, [], {"texts": "ab"}, {"texts": [1, 2]}, {"texts": ["one"]}, {"texts": ["a", "b"], "variables": [1]}],
)
def test_an_answer_that_cannot_be_one_is_asked_for_again(message: object, tmp_path: Path) -> None:
    class Liar:
        allowance = Allowance()

        def get(self, made_of: Any) -> object:
            return message if made_of[2] else None

        def put(self, made_of: object, value: object) -> None: ...

    assert Sandboxed("{{ a }}", known=Liar()).render_all([{"a": 1}, {"a": 2}]) == ["1", "2"]


def test_what_is_known_is_not_asked_of_the_worker(tmp_path: Path) -> None:
    rows, first = [{"a": f"text {number}"} for number in range(600)], again(tmp_path)
    texts = Sandboxed("<{{ a }}>", known=first).render_all(rows)
    first.save()
    idle = Worker()
    template = Sandboxed("<{{ a }}>", idle, known=again(tmp_path))
    assert template.render_all(rows) == texts
    assert template.variables == template.printed == frozenset({"a"})
    assert idle._child is None
    assert template.render_all([{"a": "new"}]) == ["<new>"]
    idle.close()


def test_a_template_that_is_refused_is_refused_again() -> None:
    class Noted(dict[str, Any]):
        allowance = Allowance()

        def get(self, made_of: object) -> Any:  # type: ignore[override]
            return super().get(json.dumps(made_of))

        def put(self, made_of: object, value: object) -> None:
            self[json.dumps(made_of)] = value

    known = Noted()
    for _ in range(2):
        with pytest.raises(TemplateLimitError):
            Sandboxed("{% for i in range(99999) %}{{ a * 99999 }}{% endfor %}", known=known).render({"a": "long"})


def plan_of(space: Workspace) -> Any:
    return space.run("plan", "spec.yaml", "--json").json


def test_a_plan_is_the_same_from_memory(workspace: Workspace) -> None:
    workspace.spec("techniques: [zero_shot, {few_shot: {shots: 2}}, lora]")
    cold = plan_of(workspace)
    memory = next((workspace.root / ".customspec" / "memo" / "texts").glob("*.json"))
    assert plan_of(workspace) == cold
    memory.unlink()
    assert plan_of(workspace) == cold
