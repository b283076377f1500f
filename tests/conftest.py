"""Fixtures for tests of whole commands."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from customspec.testing import TinyModels
from support import Ended, Workspace, colours, make_model

Command = Callable[..., Ended]
Install = Callable[[str, str, str], None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "faults" not in str(config.getoption("-m")):
        items[:] = [item for item in items if item.get_closest_marker("faults") is None]
    # what takes long goes first: last, it would leave one worker idle
    items.sort(key=lambda item: [item.get_closest_marker(mark) is None for mark in ("xdist_group", "slow")])


@pytest.fixture(scope="session", autouse=True)
def _configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A person's configuration that lets specs name whatever the tests make: models lie beside their specs."""
    home = tmp_path_factory.mktemp("config")
    (home / "customspec").mkdir()
    (home / "customspec" / "config.yaml").write_text(f"allow_roots: [{json.dumps(str(home.parent))}]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home))
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny llama for the whole session; tests link to it and never write into it."""
    return make_model(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def models() -> TinyModels:
    """The conformance kit's models."""
    return TinyModels()


@pytest.fixture(scope="session")
def shared_headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Headers of models, read once for all tests: each reading starts a process that imports transformers."""
    return tmp_path_factory.mktemp("headers")


@pytest.fixture(scope="session")
def tiny_header(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The header of `tiny_folder` and nothing else, to copy into stores that tests spoil or fill."""
    from customspec.inputs.digests import Digests
    from customspec.inputs.headers import read_model
    from customspec.inputs.models import ModelFiles, find_model
    from customspec.inputs.paths import Roots
    from customspec.spec import BaseModelSpec

    memory = tmp_path_factory.mktemp("header")
    files = find_model(BaseModelSpec(path=tiny_folder.name), Roots.of(tiny_folder.parent), Digests(None))
    assert isinstance(files, ModelFiles)
    read_model(files, memory)
    return memory


@pytest.fixture(scope="session")
def shared_calibrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine was measured to do with each model, once for all tests."""
    return tmp_path_factory.mktemp("calibrations")


@pytest.fixture
def workspace(tmp_path: Path, tiny_folder: Path, shared_headers: Path, shared_calibrations: Path) -> Workspace:
    """A folder with `model`, `train.jsonl`, `validation.jsonl`, `test.jsonl`."""
    (tmp_path / "model").symlink_to(tiny_folder)
    (tmp_path / ".customspec" / "memo").mkdir(mode=0o700, parents=True)
    (tmp_path / ".customspec" / "headers").symlink_to(shared_headers)
    (tmp_path / ".customspec" / "memo" / "calibration").symlink_to(shared_calibrations)
    space = Workspace(tmp_path)
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200)):
        space.rows(f"{name}.jsonl", colours(count, start))
    return space


@pytest.fixture
def customspec(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """customspec in this process: quick, for commands that compute nothing heavy."""
    from customspec.cli import main

    def call(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def own(workspace: Workspace, tiny_folder: Path) -> Workspace:
    """With a model of its own, that a test may change."""
    (workspace.root / "model").unlink()
    shutil.copytree(tiny_folder, workspace.root / "model")
    return workspace


@pytest.fixture
def install(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A function: a distribution of version 1.0, with one module and its entry points, on the path."""
    site = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(site)
    modules: list[str] = []

    def put(distribution: str, entry: str, source: str) -> None:
        module = distribution.replace("-", "_")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[customspec]\n{entry} = {module}\n")
        (site / f"{module}.py").write_text(dedent(source))
        modules.append(module)

    yield put
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def validate(
    workspace: Workspace, customspec: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """A function: `customspec validate` of the usual spec with these lines at its end."""

    def call(*lines: str) -> Ended:
        monkeypatch.chdir(workspace.root)
        workspace.spec(*lines)
        return customspec("validate", "spec.yaml")

    return call
