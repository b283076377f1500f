"""A run by its folder, its id or its spec, for every command that takes one; and runs that are damaged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from finished import finish
from mutations import mutations

from support import Ended, Workspace

Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A folder with a finished run, alone in the folder above."""
    root = tmp_path_factory.mktemp("which") / "specs"
    root.mkdir()
    return Workspace(finish(root, tmp_path_factory.mktemp("home"), "techniques: [zero_shot]"))


@pytest.fixture(scope="module")
def folder(space: Workspace) -> Path:
    return space.root / ".customspec" / "runs" / "colours-0001"


def test_by_folder_id_and_spec(space: Workspace, folder: Path, customspec: Command) -> None:
    store = space.root / ".customspec"
    for named in ((folder,), ("colours-0001", "--store", store), (space.root / "spec.yaml",)):
        assert customspec("report", *named, "--json").json["run"] == "colours-0001"


def test_an_id_is_looked_for_here_and_below(
    space: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (space.root, space.root.parent):
        monkeypatch.chdir(place)
        assert customspec("report", "colours-0001", "--json").json["run"] == "colours-0001"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("colours-0009", "no run `colours-0009` is in"),
        ("nowhere/colours-0001", "there is no run folder nowhere/colours-0001"),
        (".", "no run folder: it has no results.json"),
        ("absent.yaml", "absent.yaml"),
    ],
)
def test_what_is_no_run_is_said(
    tmp_path: Path, customspec: Command, monkeypatch: pytest.MonkeyPatch, named: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("report", "predict"):
        ended = customspec(command, named)
        assert ended.code == 2
        assert message in ended.err


def test_a_spec_that_never_ran_says_how(workspace: Workspace, customspec: Command) -> None:
    ended = customspec("report", workspace.spec("techniques: [zero_shot]"))
    assert ended.code == 2
    assert "has no finished run in" in ended.err
    assert "start one: customspec run" in ended.err


def test_a_damaged_run_is_said(folder: Path, tmp_path: Path, customspec: Command) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "results.json").write_text("{}")
    ended = customspec("report", broken)
    assert ended.code == 2
    assert "is no run folder that can be read" in ended.err


@pytest.mark.parametrize("name", ["results.json", "evidence.json", "candidates/zero_shot@0/prompt.json"])
def test_a_document_that_was_changed_in_any_place_is_said(
    folder: Path, tmp_path: Path, customspec: Command, name: str
) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    written = json.loads((folder / name).read_text())
    for done, changed in mutations(written, 40):
        if changed == written:
            continue
        (broken / name).unlink()
        (broken / name).write_text(json.dumps(changed))
        for command in (["report", broken], ["compare", broken, folder]):
            ended = customspec(*command)
            assert (ended.code, ended.out) == (2, ""), done
            assert f"{Path(name).name} is not as it was written" in ended.err, done
    (broken / name).unlink()
    os.mkfifo(broken / name)
    assert customspec("report", broken).code == 2


def test_what_cannot_be_used_is_not_predicted_with(folder: Path, tmp_path: Path, customspec: Command) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    written = json.loads((folder / "results.json").read_text())
    (broken / "results.json").write_text(json.dumps({**written, "decision": {"chosen_key": 5}}))
    for command in ("predict", "export"):
        ended = customspec(command, broken)
        assert ended.code == 2
        assert "results.json is not as it was written" in ended.err
