"""Where a spec may lead is for the person to say who runs it: on the command line, or in a configuration."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.cli.roots import configuration_file
from customspec.plan import digest
from support import Ended, Workspace

Run = Callable[..., Ended]


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return home


def configure(home: Path, text: str) -> Path:
    file = home / "customspec" / "config.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_a_model_elsewhere_is_refused_until_its_folder_is_allowed(
    workspace: Workspace, tiny_folder: Path, home: Path, customspec: Run
) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    refused = customspec("validate", spec)
    assert (refused.code, "CS207 model is a link that leads out" in refused.err) == (2, True)
    for command in ("validate", "plan", "show"):
        assert customspec(command, spec, "--allow-root", tiny_folder.parent).code == 0
    configure(home, f"allow_roots: [{json.dumps(str(tiny_folder.parent))}]\n")
    assert customspec("validate", spec).code == 0


def test_an_allowed_folder_may_be_named_whole(
    workspace: Workspace, tiny_folder: Path, home: Path, customspec: Run
) -> None:
    text = workspace.spec("techniques: [zero_shot]").read_text().replace("path: model", f"path: {tiny_folder}")
    spec = workspace.write("spec.yaml", text)
    assert "is absolute" in customspec("validate", spec).err
    assert customspec("validate", spec, "--allow-root", tiny_folder).code == 0


def test_a_spec_that_is_a_link_out_of_its_folder_is_not_read(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, home: Path, customspec: Run
) -> None:
    secret = tmp_path_factory.mktemp("secret") / "notes.yaml"
    secret.write_text("password: swordfish\n")
    (workspace.root / "spec.yaml").symlink_to(secret)
    for command in ("validate", "plan", "show", "run"):
        ended = customspec(command, workspace.root / "spec.yaml")
        assert ended.code == 2
        assert "is a link that leads out" in ended.err
        assert "swordfish" not in ended.err


def test_a_saved_plan_reads_only_where_its_spec_may_lead(
    workspace: Workspace, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory, home: Path, customspec: Run
) -> None:
    shutil.copytree(tiny_folder, workspace.root / "own")
    text = workspace.spec("techniques: [zero_shot]").read_text().replace("path: model", "path: own")
    spec, plan = workspace.write("spec.yaml", text), workspace.root / "plan.json"
    assert customspec("plan", spec, "--out", plan).code == 0
    outside = tmp_path_factory.mktemp("outside") / "test.jsonl"
    shutil.copy(workspace.root / "test.jsonl", outside)
    tree = json.loads(plan.read_text())
    data = next(step for step in tree["steps"] if step["kind"] == "data")
    data["sources"]["test"][0][1] = str(outside)
    del tree["seal"]
    plan.write_text(json.dumps({**tree, "seal": digest(tree)}))
    ended = customspec("run", plan)
    assert ended.code == 5
    assert f"{outside} lies out of the spec's folder" in ended.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("allow_roots: [models]\n", "config.yaml:1:15: CS204 models is relative"),
        ("allow_root: [/models]\n", "did you mean `allow_roots`?"),
        ("allow_roots: /models\n", "CS203"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_place(
    workspace: Workspace, home: Path, customspec: Run, text: str, said: str
) -> None:
    configure(home, text)
    ended = customspec("validate", workspace.spec("techniques: [zero_shot]"))
    assert ended.code == 2
    assert said in ended.err


def test_the_configuration_lies_in_the_home_folder_where_no_other_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")  # to be ignored, by the standard
    monkeypatch.setenv("HOME", "/home/me")
    assert configuration_file() == Path("/home/me/.config/customspec/config.yaml")
