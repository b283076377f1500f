"""What a plan's fingerprints depend on: whatever changes a result changes them, and nothing else does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from plans import FOUR, changed, fingerprints, plan_of, steps_of

from support import Workspace


def test_comments_blanks_and_the_order_of_keys_change_nothing(workspace: Workspace) -> None:
    before = plan_of(workspace.spec(FOUR, "seeds: [1]"))
    text = (workspace.root / "spec.yaml").read_text()
    head, _, tail = text.partition("prompt:\n")
    assert "customspec: 1\nname: colours\n" in head
    moved = head.replace("customspec: 1\nname: colours\n", "name:   colours # a comment\n\n\ncustomspec: 1\n")
    after = plan_of(workspace.write("spec.yaml", f"# another\n{moved}prompt:\n{tail}"))
    assert changed(before, after) == set()
    assert after.digest == before.digest
    assert after.spec_digest == before.spec_digest


def test_another_folder_changes_nothing(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = plan_of(workspace.spec(FOUR))
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(workspace.root, elsewhere)
    after = plan_of(elsewhere / "spec.yaml")
    assert changed(before, after) == set()
    assert after.digest == before.digest
    assert after.step("data").sources != before.step("data").sources


def test_other_names_of_files_change_nothing_that_runs(workspace: Workspace) -> None:
    before = plan_of(workspace.spec(FOUR))
    (workspace.root / "train.jsonl").rename(workspace.root / "rows.jsonl")
    spec = workspace.spec(FOUR)
    after = plan_of(workspace.write("spec.yaml", spec.read_text().replace("train.jsonl", "rows.jsonl")))
    assert changed(before, after) == set()


def test_a_byte_of_the_data_changes_the_data_and_all_that_use_it(workspace: Workspace) -> None:
    before = plan_of(workspace.spec(FOUR))
    rows = workspace.root / "train.jsonl"
    rows.write_text(rows.read_text().replace("number 0 ", "number 9 ", 1))
    assert changed(before, plan_of(workspace.root / "spec.yaml")) == set(fingerprints(before)) - {"model"}


def test_a_byte_of_a_model_file_changes_the_model_and_all_that_use_it(workspace: Workspace, tiny_folder: Path) -> None:
    (workspace.root / "model").unlink()
    shutil.copytree(tiny_folder, workspace.root / "model")
    before = plan_of(workspace.spec(FOUR))
    weights = workspace.root / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert changed(before, plan_of(workspace.root / "spec.yaml")) == set(fingerprints(before)) - {"data"}


EDITS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "the user's template": ('"{{ text }}"', '"{{ text }} "', ("zero_shot@0", "few_shot@0", "lora@0", "full@0")),
    "the system message": ("warm or cold.", "warm or cold!", ("zero_shot@0", "few_shot@0", "lora@0", "full@0")),
    "shots": ("shots: 2", "shots: 3", ("few_shot@0",)),
    "an option of the technique": ("r: 2", "r: 4", ("lora@0",)),
    "an option that the recipe fills": ("{r: 2}", "{r: 2, learning_rate: 0.01}", ("lora@0",)),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "candidates"), EDITS.values(), ids=EDITS)
def test_an_edit_changes_the_steps_of_the_candidates_that_it_concerns_and_no_other(
    workspace: Workspace, old: str, new: str, candidates: tuple[str, ...]
) -> None:
    spec = workspace.spec(FOUR)
    before = plan_of(spec)
    assert old in spec.read_text()
    after = plan_of(workspace.write("spec.yaml", spec.read_text().replace(old, new)))
    assert changed(before, after) == steps_of(candidates, before) | {"decide"}


def test_a_candidates_own_prompt_changes_that_candidate_alone(workspace: Workspace) -> None:
    spec = workspace.spec(
        "techniques: [zero_shot, {id: terse, zero_shot: {}, prompt: {system: Which}}, {lora: {r: 2}}]"
    )
    before = plan_of(spec)
    after = plan_of(workspace.write("spec.yaml", spec.read_text().replace("system: Which", "system: What")))
    assert changed(before, after) == steps_of(["terse@0"], before) | {"decide"}


def test_another_seed_changes_everything_but_model_and_given_data(workspace: Workspace) -> None:
    before, after = (plan_of(workspace.spec(FOUR, f"seeds: [{seed}]")) for seed in (0, 1))
    old, new = set(fingerprints(before).values()), set(fingerprints(after).values())
    assert old & new == {fingerprints(before)["model"], fingerprints(before)["data"]}


def test_another_goal_changes_the_decision_alone(workspace: Workspace) -> None:
    before, after = (plan_of(workspace.spec(FOUR, f"goal: {{metric: accuracy, at_least: 0.{n}}}")) for n in (5, 6))
    assert changed(before, after) == {"decide"}


def test_options_written_out_as_the_recipe_has_them_change_nothing(workspace: Workspace) -> None:
    before = plan_of(workspace.spec("techniques: [{lora: {r: 2}}]"))
    after = plan_of(workspace.spec("techniques: [{lora: {r: 2, lora_alpha: 4, num_train_epochs: 10.0}}]"))
    assert changed(before, after) == set()
