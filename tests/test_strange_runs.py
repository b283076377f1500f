"""A run folder from a stranger leads nowhere that a spec may not lead, and nothing is written through its links."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished import finish, move, reseal, run_of

from customspec.errors import RefusedError
from customspec.inputs.paths import Roots
from customspec.runners.places import check_files
from support import Ended, Workspace

Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty configuration."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return finish(tmp_path_factory.mktemp("finished"), home, "techniques: [zero_shot]")


@pytest.fixture
def space(finished: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """That run in a folder of this test, which no configuration allows."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    move(finished, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return Workspace(tmp_path / "work")


def step(message: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(step for step in message["steps"] if step["kind"] == kind)


@pytest.mark.parametrize("command", ["predict", "report", "compare", "export"])
def test_a_spec_that_is_a_link_out_of_its_folder_is_not_read(
    space: Workspace, tmp_path: Path, customspec: Run, command: str
) -> None:
    (tmp_path / "notes.yaml").write_text("password: [swordfish\n")
    (space.root / "link.yaml").symlink_to(tmp_path / "notes.yaml")
    ended = customspec(command, "link.yaml", *(["link.yaml"] if command == "compare" else []))
    assert ended.code == 2
    assert "is a link that leads out" in ended.err
    assert "swordfish" not in ended.err


def test_a_spec_that_is_such_a_link_is_read_where_the_person_allows_it(
    space: Workspace, tmp_path: Path, customspec: Run
) -> None:
    (space.root / "spec.yaml").rename(tmp_path / "spec.yaml")
    (space.root / "spec.yaml").symlink_to(tmp_path / "spec.yaml")
    for command in (["predict", "spec.yaml", "new.jsonl"], ["export", "spec.yaml", "--out", "out"]):
        assert customspec(*command).code == 2
        ended = customspec(*command, "--allow-root", tmp_path, "--store", space.root / ".customspec")
        assert ended.code == 0, ended.err


def test_the_run_as_it_is_is_used(space: Workspace, customspec: Run) -> None:
    for arguments in (("predict", run_of(space), "new.jsonl", "--candidate", "zero_shot"), ("export", run_of(space))):
        ended = customspec(*arguments)
        assert ended.code == 0, ended.err
    (card,) = space.root.glob("colours-*/README.md")
    assert "customspec: 1" in card.read_text()


def test_a_model_elsewhere_is_refused_until_its_folder_is_allowed(
    space: Workspace, tmp_path: Path, customspec: Run
) -> None:
    shutil.move(space.root / "model", tmp_path / "model")

    def elsewhere(document: dict[str, Any]) -> None:
        step(document, "model")["sources"]["path"] = str(tmp_path / "model")

    reseal(run_of(space) / "plan.json", elsewhere)
    asked = ("predict", run_of(space), "new.jsonl")
    ended = customspec(*asked)
    assert ended.code == 5
    assert f"the model model is not opened: {tmp_path / 'model'} lies out of the folder of its spec" in ended.err
    assert customspec("export", run_of(space)).code == 5
    assert customspec(*asked, "--allow-root", tmp_path / "model").code == 0


@pytest.mark.parametrize("command", ["report", "export", "predict"])
def test_results_of_other_candidates_are_told(space: Workspace, customspec: Run, command: str) -> None:
    reseal(run_of(space) / "results.json", lambda document: document["candidates"].clear())
    ended = customspec(command, run_of(space), *(["new.jsonl"] if command == "predict" else []))
    assert ended.code == 2
    assert "its candidates are not those of plan.json" in ended.err


def test_results_of_an_unknown_machine_are_told(space: Workspace, customspec: Run) -> None:
    reseal(run_of(space) / "results.json", lambda document: document.update(environment={}))
    ended = customspec("export", run_of(space))
    assert ended.code == 2
    assert "results.json: environment.python: Field required" in ended.err


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_technique_that_is_not_installed_is_named(space: Workspace, customspec: Run, command: str) -> None:
    named = {"name": "debate", "distribution": "customspec-debate", "version": "2.1", "options": {}}

    def other(document: dict[str, Any]) -> None:
        for one in document["steps"]:
            if one["kind"] == "evaluate":
                one["params"]["prompting"] = named

    reseal(run_of(space) / "plan.json", other)
    ended = customspec(command, run_of(space), *(["new.jsonl"] if command == "predict" else []))
    assert ended.code == 4
    assert "technique `debate` is not installed here; this run had it from customspec-debate 2.1" in ended.err


def test_rows_elsewhere_are_not_read(space: Workspace, tmp_path: Path, customspec: Run) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")

    def elsewhere(document: dict[str, Any]) -> None:
        step(document, "data")["sources"]["test"][0][1] = str(tmp_path / "pipe.jsonl")

    reseal(run_of(space) / "plan.json", elsewhere)
    assert customspec("predict", run_of(space), "new.jsonl").code == 0  # its rows are in the store
    shutil.rmtree(space.root / ".customspec" / "objects")
    (space.root / ".customspec" / "objects").mkdir()
    ended = customspec("predict", run_of(space), "new.jsonl")
    assert ended.code == 5
    assert "pipe.jsonl lies out of the folder of its spec" in ended.err


def test_files_of_options_elsewhere_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    roots = Roots.of(tmp_path / "spec")
    for path, fits in ((tmp_path / "spec" / "vectors", True), (tmp_path / "vectors", False)):
        if fits:
            check_files([str(path)], roots)
        else:
            with pytest.raises(RefusedError, match="vectors lies out of the folder of its spec"):
                check_files([str(path)], roots)


def test_a_run_of_a_store_elsewhere_follows_the_spec_that_was_planned(
    space: Workspace, tmp_path: Path, customspec: Run
) -> None:
    store = tmp_path / "elsewhere" / "store"
    store.parent.mkdir()
    shutil.move(space.root / ".customspec", store)
    asked = ("predict", store / "runs" / "colours-0001", "new.jsonl")
    ended = customspec(*asked)
    assert ended.code == 0, ended.err
    with (space.root / "spec.yaml").open("a") as file:
        file.write("seeds: [1]\n")
    assert customspec(*asked).code == 5  # whose spec it was nobody can tell
    assert customspec(*asked, "--allow-root", space.root).code == 0


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_an_artifact_that_holds_more_than_files_is_not_opened(
    space: Workspace, tmp_path: Path, customspec: Run, what: str
) -> None:
    strange = run_of(space) / "candidates" / "zero_shot@0" / "adapter_config.json"
    if what == "pipe":
        os.mkfifo(strange)
    else:
        (tmp_path / "key").write_text("swordfish")
        strange.symlink_to(tmp_path / "key")
    for command in ("predict", "export"):
        ended = customspec(command, run_of(space), *(["new.jsonl"] if command == "predict" else []))
        assert ended.code == 5
        assert "the artifact of zero_shot@0 is not opened: adapter_config.json is " in ended.err
    assert not list(space.root.glob("colours-zero*"))


def test_a_page_is_not_written_through_a_link(space: Workspace, tmp_path: Path, customspec: Run) -> None:
    (tmp_path / "mine").write_text("mine")
    page = run_of(space) / "report.html"
    page.symlink_to(tmp_path / "mine")
    assert customspec("report", run_of(space)).code == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert not page.is_symlink()
    assert page.stat().st_mode & 0o777 == 0o644
    page.unlink()
    os.mkfifo(page)
    assert customspec("report", run_of(space)).code == 0


def test_predictions_are_read_in_the_run_folder_alone(space: Workspace, tmp_path: Path, customspec: Run) -> None:
    file = run_of(space) / "candidates" / "zero_shot@0" / "predictions" / "test" / "predictions.jsonl"
    shutil.move(file, tmp_path / "mine.jsonl")
    file.symlink_to(tmp_path / "mine.jsonl")
    ended = customspec("report", run_of(space))
    assert ended.code == 2
    assert "is a link that leads out of the run's folder" in ended.err


def test_predictions_of_a_terabyte_are_not_read(space: Workspace, customspec: Run) -> None:
    file = run_of(space) / "candidates" / "zero_shot@0" / "predictions" / "test" / "predictions.jsonl"
    file.chmod(0o644)
    os.truncate(file, 1 << 40)  # of which the disk holds a few bytes
    ended = customspec("report", run_of(space))
    assert ended.code == 2
    assert "is larger than" in ended.err


@pytest.mark.parametrize("name", ["plan.json", "results.json", "evidence.json", "candidates/zero_shot@0/prompt.json"])
@pytest.mark.parametrize("what", ["pipe", "folder", "link"])
def test_what_is_no_file_is_told(space: Workspace, customspec: Run, name: str, what: str) -> None:
    file = run_of(space) / name
    kept = file.rename(space.root / "kept.json")
    if what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    else:
        file.symlink_to(kept)
    for arguments in (("report", run_of(space)), ("compare", run_of(space), run_of(space))):
        ended = customspec(*arguments)
        assert ended.code == 2
        assert "is no run folder" in ended.err
