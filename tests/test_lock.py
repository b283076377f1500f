"""`lock`, `run --locked`, `diff`: what a spec runs on is written down, and any change of it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from customspec.compiler import packages
from customspec.source import read
from support import Ended, Workspace, colours

Run = Callable[..., Ended]
CANDIDATES = "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2}}]"


def text_of(space: Workspace) -> str:
    return (space.root / "customspec.lock").read_text()


def test_a_lock_is_short_sorted_and_the_same_every_time(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec(CANDIDATES)
    assert customspec("lock", spec).code == 0
    first = text_of(workspace)
    workspace.spec("# a remark", CANDIDATES)
    assert customspec("lock", spec).code == 0
    assert text_of(workspace) == first
    assert len(first.splitlines()) < 80
    section = yaml.safe_load(first)["specs"]["spec.yaml"]
    assert section == read(workspace.root / "customspec.lock").data["specs"]["spec.yaml"], "one reading of it"
    assert set(section["data"]) == {"train", "validation", "test"}
    assert section["models"]["model"]["from"] == "model"
    assert set(section["packages"]) == {"customspec", "peft", "torch", "transformers"}
    assert set(section["candidates"]) == {"zero_shot@0", "few_shot@0", "lora@0"}
    assert str(workspace.root) not in first


def test_two_specs_of_a_folder_share_a_lock(workspace: Workspace, customspec: Run) -> None:
    spec, other = workspace.spec("techniques: [zero_shot]"), workspace.spec(CANDIDATES, name="other.yaml")
    for one in (spec, other):
        assert customspec("lock", one).code == 0
    assert set(yaml.safe_load(text_of(workspace))["specs"]) == {"spec.yaml", "other.yaml"}
    other.unlink()
    customspec("lock", spec)
    assert set(yaml.safe_load(text_of(workspace))["specs"]) == {"spec.yaml"}


def test_a_locked_run_runs_what_is_as_it_was_locked(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    assert customspec("lock", spec).code == 0
    assert customspec("run", spec, "--locked").code == 0


def test_without_a_lock_a_locked_run_is_refused(workspace: Workspace, customspec: Run) -> None:
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--locked")
    assert ended.code == 5
    assert "customspec lock" in ended.err
    assert not (workspace.root / ".customspec" / "runs").exists()


def change_data(space: Workspace) -> None:
    space.rows("test.jsonl", colours(12, 300))


def change_model(space: Workspace) -> None:
    config = space.root / "model" / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "temperature": 0.5}))


def change_spec(space: Workspace) -> None:
    space.spec("techniques: [zero_shot]", "seeds: [1]")


def change_goal(space: Workspace) -> None:
    space.spec("techniques: [zero_shot]", "goal: {metric: accuracy, at_least: 0.9}")


def change_metrics(space: Workspace) -> None:
    space.spec("techniques: [zero_shot]", "metrics: [macro_f1]")


def change_budget(space: Workspace) -> None:
    space.spec("techniques: [zero_shot]", "budget: {minutes: 30}")


def change_margin(space: Workspace) -> None:
    space.spec("techniques: [zero_shot]", "margin: 0.05", "confidence: 0.9")


def change_prompt(space: Workspace) -> None:
    space.spec("techniques: [{zero_shot: {}, prompt: {user: 'Say: {{ text }}'}}]")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (change_data, "data.test: expected sha256:"),
        (change_model, "models.model.digest: expected sha256:"),
        (change_spec, "candidates.zero_shot@1.prompt: expected nothing, found sha256:"),
        (change_goal, "has it: rules.goal.at_least: expected nothing, found 0.9; rules.goal.metric: expected nothing"),
        (change_metrics, "has it: rules.metrics.accuracy: expected sha256:"),
        (change_budget, "has it: rules.budget.minutes: expected nothing, found 30.0. Review"),
        (
            change_margin,
            "rules.confidence: expected 0.95, found 0.9; rules.margin: expected nothing, found 0.05. Review",
        ),
        (change_prompt, "candidates.zero_shot@0.prompt: expected sha256:"),
    ],
)
def test_any_drift_is_refused_and_named(
    own: Workspace, customspec: Run, change: Callable[[Workspace], None], named: str
) -> None:
    spec = own.spec("techniques: [zero_shot]")
    assert customspec("lock", spec).code == 0
    change(own)
    ended = customspec("run", spec, "--locked")
    assert ended.code == 5
    assert named in ended.err
    assert not (own.root / ".customspec" / "runs").exists()


def test_what_a_spec_says_for_people_is_not_locked(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec("techniques: [zero_shot]", "strategy: ladder", "goal: {metric: accuracy, at_least: 0.1}")
    assert customspec("lock", spec).code == 0
    text = spec.read_text()
    spec.write_text(text + "description: Colours, warm and cold.\n")
    assert customspec("run", spec, "--locked").code == 0
    spec.write_text(text.replace("strategy: ladder", "strategy: compare"))
    ended = customspec("run", spec, "--locked")
    assert ended.code == 5
    assert "has it: rules.strategy: expected ladder, found compare. Review" in ended.err


def test_another_version_of_a_library_is_drift(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    assert customspec("lock", spec).code == 0
    tree = yaml.safe_load(text_of(workspace))
    tree["specs"]["spec.yaml"]["packages"]["torch"]["version"] = "1.13.1"
    workspace.write("customspec.lock", yaml.safe_dump(tree))
    ended = customspec("run", spec, "--locked")
    assert ended.code == 5
    assert "packages.torch.version: expected 1.13.1, found 2." in ended.err


def test_a_locked_run_takes_no_changes_from_the_command_line(workspace: Workspace, customspec: Run) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    customspec("lock", spec)
    assert customspec("run", spec, "--locked", "--limit", "2").code == 2


@pytest.mark.faults
def test_a_branch_that_moved_is_still_run_at_the_locked_commit(
    workspace: Workspace, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, customspec: Run
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--owner--tiny"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(tiny_folder, repository / "snapshots" / commit)
    (repository / "snapshots" / ("b" * 40) / "generation_config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    text = workspace.spec("techniques: [zero_shot]").read_text().replace("{path: model}", "{hub: owner/tiny}")
    spec = workspace.write("spec.yaml", text)
    assert customspec("lock", spec).code == 0
    assert f"from: owner/tiny@{'a' * 40}" in text_of(workspace)
    (repository / "refs" / "main").write_text("b" * 40)
    assert customspec("run", spec, "--locked").code == 0
    shutil.rmtree(repository / "snapshots" / ("a" * 40))
    assert customspec("run", spec, "--locked").code in {4, 5}, "another commit is never taken instead"


def test_a_diff_of_specs_names_the_steps_and_the_reasons(workspace: Workspace, customspec: Run) -> None:
    before = workspace.spec(CANDIDATES, name="before.yaml")
    after = workspace.spec("techniques: [zero_shot, {few_shot: {shots: 4}}, {lora: {r: 4}}, full]", name="after.yaml")
    [difference] = customspec("diff", before, after, "--json").json.values()
    why = {rerun["step"]: rerun["why"] for rerun in difference["rerun"]}
    assert "technique.options.r: 2 → 4" in why["train:lora@0"]
    assert "needs train:lora@0" in why["evaluate:lora@0:test"]
    assert "prompting.options.shots: 2 → 4" in why["evaluate:few_shot@0:test"]
    assert "evaluate:zero_shot@0:test" not in why
    assert "train:full@0" in difference["new"]
    ended = customspec("diff", before, after)
    assert "re-runs train:lora@0\n  " in ended.out
    assert customspec("diff", before, before).out == "nothing differs that a result depends on\n"


def test_a_diff_of_locks_and_of_a_spec_with_its_lock(own: Workspace, customspec: Run) -> None:
    spec = own.spec("techniques: [zero_shot]")
    customspec("lock", spec)
    before = own.root / "before.lock"
    shutil.copy(own.root / "customspec.lock", before)
    assert "nothing differs" in customspec("diff", before, spec).out
    change_data(own)
    difference = customspec("diff", before, spec, "--json").json["spec.yaml"]
    assert [rerun["step"] for rerun in difference["rerun"]] == [
        "data", "decide", "evaluate:zero_shot@0:test", "evaluate:zero_shot@0:validation",
    ]  # fmt: skip
    assert difference["rerun"][0]["why"][0].startswith("data.test: sha256:")
    customspec("lock", spec)
    assert customspec("diff", before, own.root / "customspec.lock", "--json").json["spec.yaml"] == difference


@pytest.mark.parametrize(
    "section",
    [
        "{}",
        "[]",
        "{steps: {}}",
        "{steps: [], models: {}}",
        "{steps: {}, models: []}",
        "{steps: {}, models: {model: x}}",
    ],
)
def test_what_is_no_lock_is_told(workspace: Workspace, customspec: Run, section: str) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    lock = workspace.write("customspec.lock", f"lock: 2\nspecs: {{spec.yaml: {section}}}\n")
    for arguments in (("run", spec, "--locked"), ("diff", lock, spec), ("lock", spec)):
        ended = customspec(*arguments)
        assert ended.code == 2, ended.err
        assert f"{lock} is no lock of this version; make it anew" in ended.err


def test_the_record_of_a_wheel_is_the_same_wherever_it_is_installed() -> None:
    here = (
        "a.py,sha256=x,1\n../../../bin/tool,sha256=of-this-path,9\na/__pycache__/a.pyc,,\na-1.dist-info/INSTALLER,,\n"
    )
    there = "a-1.dist-info/RECORD,,\na.py,sha256=x,1\n../../../Scripts/tool,sha256=of-that-path,9\n"
    assert packages._of_record(here) == packages._of_record(there)
    assert packages._of_record(here) != packages._of_record(here.replace("=x", "=y"))


def test_a_distribution_that_is_not_there_is_said_to_be_so() -> None:
    assert dict(packages.package_of("no-such-distribution"))["version"] == "not installed"
