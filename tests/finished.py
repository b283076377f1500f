"""A finished run within a folder of its own, to be changed as a stranger might, seals included."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from customspec.plan import digest
from support import Workspace, colours, make_model


def finish(folder: Path, home: Path, *lines: str) -> Path:
    """The folder, with a spec of these lines, its model beside it, and a run; `home` has the configuration."""
    from customspec.cli import main

    space = Workspace(folder)
    make_model(space.root / "model")
    for name, count, start in (("train", 6, 0), ("validation", 4, 100), ("test", 4, 200), ("new", 2, 300)):
        space.rows(f"{name}.jsonl", colours(count, start))
    spec = space.spec(*lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home))
        with pytest.raises(SystemExit) as ended:
            main(["run", str(spec)])
    assert ended.value.code == 0
    return folder


def run_of(space: Workspace) -> Path:
    return space.root / ".customspec" / "runs" / "colours-0001"


def move(finished: Path, target: Path) -> None:
    """A copy whose plan names the files of the copy."""
    shutil.copytree(finished, target)
    for path in (target / ".customspec" / "runs").glob("*/plan.json"):
        path.write_text(path.read_text().replace(str(finished), str(target)))
        reseal(path)


def reseal(file: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """A sealed document changed, and sealed again."""
    document = json.loads(file.read_text())
    document.pop("seal", None)
    change(document)
    write_sealed(file, document)


def write_sealed(file: Path, document: Mapping[str, Any]) -> None:
    """A document with a seal that fits; what cannot be sealed has none that does."""
    try:
        seal = digest({name: value for name, value in document.items() if name != "seal"})
    except ValueError:
        seal = "none"
    file.write_text(json.dumps({**document, "seal": seal}))
