"""Run folders that say nonsense under seals that fit: a sentence and an exit code, whatever is asked of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finished import finish, move, reseal, run_of, write_sealed
from mutations import mutations

from support import Ended, Workspace

Run = Callable[..., Ended]
SEALED = ("results.json", "evidence.json", "plan.json", "candidates/few_shot@0/prompt.json")
LINES = "candidates/zero_shot@0/predictions/validation/predictions.jsonl"
READING = (
    ("report",),
    ("report", "--format", "markdown", "--base", "base"),
    ("report", "--json"),
    ("compare", "base"),
    ("compare", "base", "--json"),
)
USING = (("predict", "new.jsonl"), ("predict", "new.jsonl", "--candidate", "lora"), ("export", "--candidate", "lora"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty configuration."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    lines = (
        "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2, max_steps: 2}}]",
        "goal: {metric: accuracy, at_least: 0.1}",
        "cost: {requests_per_month: 1000, price_per_device_hour: 1.0}",
    )
    return finish(tmp_path_factory.mktemp("finished"), home, *lines)


@pytest.fixture
def space(finished: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    move(finished, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    shutil.copytree(run_of(Workspace(tmp_path / "work")), tmp_path / "work" / "base")
    return Workspace(tmp_path / "work")


def changed(file: Path, count: int, seed: int) -> Iterator[str]:
    """What was done, with the file changed so for as long as it is looked at."""
    kept = file.read_bytes()
    file.unlink()
    is_lines = file.suffix == ".jsonl"
    document: Any = [json.loads(line) for line in kept.splitlines()] if is_lines else json.loads(kept)
    for what, other in mutations(document, count, seed):
        if is_lines:
            file.write_text("".join(json.dumps(line) + "\n" for line in other))
        else:
            write_sealed(file, other)
        yield what
    file.write_bytes(kept)


def look(space: Workspace, customspec: Run, asked: tuple[str, ...], what: str) -> int:
    command, *arguments = asked
    if command == "export":
        shutil.rmtree(space.root / "out", ignore_errors=True)
        arguments += ["--out", "out"]
    try:
        ended = customspec(command, run_of(space), *arguments)
    except Exception as error:
        raise AssertionError(f"{what}: {' '.join(asked)}: {type(error).__name__}: {error}") from error
    assert ended.code in {0, 1, 2, 4, 5}, (what, asked)
    assert ended.code == 0 or ended.err.startswith("error: ") or "\nerror: " in ended.err, (what, asked, ended.err)
    assert "\x1b" not in ended.err, (what, asked)
    assert "\x1b" not in ended.out or "--json" in asked, (what, asked)
    return ended.code


@pytest.mark.parametrize("name", [*SEALED, LINES])
def test_a_changed_run_is_shown_or_told(space: Workspace, customspec: Run, name: str) -> None:
    assert [look(space, customspec, asked, "as it is") for asked in READING] == [0] * len(READING)
    codes = [
        look(space, customspec, READING[number % len(READING)], what)
        for number, what in enumerate(changed(run_of(space) / name, 10, seed=0))
    ]
    assert 2 in codes or name.endswith("prompt.json")


@pytest.mark.parametrize("name", ["results.json", "plan.json"])
def test_a_changed_run_is_used_or_told(space: Workspace, customspec: Run, name: str) -> None:
    assert [look(space, customspec, asked, "as it is") for asked in USING] == [0] * len(USING)
    for number, what in enumerate(changed(run_of(space) / name, 6, seed=1)):
        look(space, customspec, USING[number % len(USING)], what)


def test_a_prompt_that_lacks_what_a_page_shows_is_told(space: Workspace, customspec: Run) -> None:
    reseal(run_of(space) / "candidates" / "few_shot@0" / "prompt.json", lambda document: document["seen"].pop("tokens"))
    assert look(space, customspec, ("report",), "no tokens") == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(KeyError("x"), 1, "predict: KeyError: 'x'"), (MemoryError(), 4, "predict: not enough memory")],
)
def test_what_fails_inside_is_told(
    space: Workspace, customspec: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    import customspec.cli.commands.predict as command

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(command, "predict", fails)
    ended = customspec("predict", run_of(space), "new.jsonl")
    assert ended.code == code
    assert f"error: {said}" in ended.err


@pytest.mark.faults
@pytest.mark.parametrize("name", [*SEALED, LINES])
def test_every_changed_run_is_shown_or_told(space: Workspace, customspec: Run, name: str) -> None:
    for number, what in enumerate(changed(run_of(space) / name, 120, seed=2)):
        look(space, customspec, READING[number % len(READING)], what)


@pytest.mark.faults
@pytest.mark.parametrize("name", [*SEALED, "candidates/lora@0/adapter_config.json"])
def test_every_changed_run_is_used_or_told(space: Workspace, customspec: Run, name: str) -> None:
    for number, what in enumerate(changed(run_of(space) / name, 30, seed=3)):
        look(space, customspec, USING[number % len(USING)], what)
