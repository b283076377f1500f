"""What lies in a store and was not written by customspec costs work, never a traceback, and never the command."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.inputs.checksummed import read_checksummed, with_checksum
from customspec.inputs.digests import sha256_file
from support import Ended, Workspace, long_form_of

Run = Callable[..., Ended]
Spoil = Callable[[Path], None]


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def saying(value: object) -> Spoil:
    def spoil(path: Path) -> None:
        path.chmod(0o644)
        path.write_bytes(with_checksum(value))

    return spoil


SPOILT = {"pipe": pipe, "list": saying([]), "object": saying({}), "number": saying(5), "null": saying(None)}
SPOILT["other"] = saying({"key": 1, "files": {}, "header": {}, "code": 5, "forward": "fast"})


@pytest.fixture
def lived_in(workspace: Workspace, customspec: Run, tiny_header: Path, shared_calibrations: Path) -> Workspace:
    """A workspace with a run behind it, whose headers and rates are its own."""
    store = workspace.root / ".customspec"
    assert customspec("run", workspace.spec("techniques: [zero_shot]")).code == 0
    for place, shared in ((store / "headers", tiny_header), (store / "memo" / "calibration", shared_calibrations)):
        place.unlink()
        shutil.copytree(shared, place)
    return workspace


def files(workspace: Workspace) -> list[Path]:
    store = workspace.root / ".customspec"
    parts = ("objects/*/*/manifest.json", "headers/*/header.json", "headers/*/tokenizer.json", "memo/*/*.json")
    found = [sorted(store.glob(part)) for part in parts]
    assert all(found)
    return [*(path for of_part in found for path in of_part), store / "digests.json"]


@pytest.mark.parametrize("spoilt", long_form_of(SPOILT, lambda name: name in {"list", "object", "number", "null"}))
def test_a_file_that_is_another_thing_is_made_again(lived_in: Workspace, customspec: Run, spoilt: str) -> None:
    spec = lived_in.root / "spec.yaml"
    (lived_in.root / ".customspec" / "digests.json").touch()
    for path in files(lived_in):
        SPOILT[spoilt](path)
    assert customspec("doctor").code in {0, 4, 5}
    assert customspec("plan", spec).code == 0
    ended = customspec("run", spec)
    assert ended.code == 0, ended.err
    assert "is set aside" in ended.err
    again = customspec("run", spec)
    assert "nothing was executed" in again.out
    assert "damaged" not in again.err


@pytest.mark.parametrize("what", ["values", "predictions"])
def test_a_result_that_nobody_measured_is_told(lived_in: Workspace, customspec: Run, what: str) -> None:
    for path in (lived_in.root / ".customspec" / "objects").glob("*/*/manifest.json"):
        manifest: Any = read_checksummed(path)
        file = path.parent / "files" / "predictions.jsonl"
        if not file.is_file():
            continue
        if what == "values":
            manifest["values"] = {}
        else:
            file.chmod(0o644)
            file.unlink()
            file.write_text("[]\n")
            manifest["files"] = [{"path": file.name, "size": 3, "sha256": sha256_file(file)}]
        saying(manifest)(path)
    ended = customspec("run", lived_in.root / "spec.yaml")
    assert ended.code == 5
    assert "is none that customspec wrote (" in ended.err
    assert customspec("run", lived_in.root / "spec.yaml", "--store", lived_in.root / "other").code == 0


def test_a_store_that_is_a_file_is_refused_as_one(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    for command in ("run", "plan"):
        ended = customspec(command, spec, "--store", spec)
        assert ended.code == 2
        assert f"{spec} is no folder; the store must be one" in " ".join(ended.err.split())
    assert spec.read_text().endswith("techniques: [zero_shot]\n")


@pytest.mark.parametrize("how", ["file", "pipe", "link"])
def test_a_model_is_read_again_where_its_folder_is_none(lived_in: Workspace, customspec: Run, how: str) -> None:
    for folder in (lived_in.root / ".customspec" / "headers").iterdir():
        shutil.rmtree(folder)
        if how == "file":
            folder.write_text("x")
        elif how == "pipe":
            os.mkfifo(folder)
        else:
            folder.symlink_to("nowhere")
    ended = customspec("validate", lived_in.root / "spec.yaml")
    assert ended.code == 0
    assert "what was kept of a model is damaged" in ended.err
    assert "damaged" not in customspec("validate", lived_in.root / "spec.yaml").err
