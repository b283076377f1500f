"""`customspec export`: what is handed over opens elsewhere, answers alike, and says what it is."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from customspec.cli import main
from customspec.store import draft
from support import Ended, Workspace, colours

Command = Callable[..., Ended]

CANDIDATES = (
    "techniques: [zero_shot, {few_shot: {shots: 2, select: similar}}, {prefix_tuning: {max_steps: 1}}, "
    "{full: {max_steps: 1}}, {id: both, lora: {r: 4, learning_rate: 3e-2, max_steps: 30, eval_steps: 30}, "
    "prompting: one_shot}]"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Workspace:
    """A workspace with one run of five candidates, one of each kind; exports leave it as it is."""
    space = Workspace(tmp_path_factory.mktemp("export"))
    (space.root / "model").mkdir()
    for file in tiny_folder.iterdir():
        (space.root / "model" / file.name).symlink_to(file)
    space.write("model/README.md", "---\nlicense: apache-2.0\n---\n# Tiny\n")
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200)):
        space.rows(f"{name}.jsonl", colours(count, start))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(space.spec(CANDIDATES))])
    assert ended.value.code == 0
    return space


@pytest.fixture
def run(shared: Workspace) -> Path:
    return shared.root / ".customspec" / "runs" / "colours-0001"


def export(customspec: Command, run: Path, out: Path, *more: str) -> Any:
    ended = customspec("export", run, "--out", out, "--json", *more)
    assert ended.code == 0, ended.err
    return ended.json


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=torch.tensor([ids])).logits
    return found


def test_each_candidate_is_handed_over_in_its_own_form(run: Path, tmp_path: Path, customspec: Command) -> None:
    forms = {}
    for key in ("zero_shot@0", "few_shot@0", "prefix_tuning@0", "full@0", "both@0"):
        exported = export(customspec, run, tmp_path / "out" / key, "--candidate", key)
        forms[key] = exported["form"]
        assert {"README.md", "prompt.json"} <= set(exported["files"])
        assert not [file for file in exported["files"] if file.startswith("predictions")]
        assert exported["files"] == sorted(
            str(path.relative_to(exported["folder"])) for path in Path(exported["folder"]).rglob("*") if path.is_file()
        )
    assert forms == {
        "zero_shot@0": "prompt",
        "few_shot@0": "prompt",
        "prefix_tuning@0": "adapter",
        "full@0": "model",
        "both@0": "adapter",
    }


def test_adapter_merged_model_and_evaluation_agree(run: Path, tmp_path: Path, customspec: Command) -> None:
    plain = export(customspec, run, tmp_path / "plain", "--candidate", "both")
    merged = export(customspec, run, tmp_path / "merged", "--candidate", "both", "--merge")
    assert merged["form"] == "merged"
    assert (merged["parity"]["rows"], merged["parity"]["same"], merged["parity"]["apart"]) == (12, 12, [])

    ids = AutoTokenizer.from_pretrained(merged["folder"])("number 3 is teal")["input_ids"]
    base = AutoModelForCausalLM.from_pretrained(run.parents[2] / "model")
    untouched = logits(base, ids)
    beside = logits(PeftModel.from_pretrained(base, plain["folder"]), ids)
    whole = logits(AutoModelForCausalLM.from_pretrained(merged["folder"]), ids)
    assert torch.allclose(beside, whole, atol=1e-4)
    assert not torch.allclose(untouched, whole, atol=1e-2)


def test_the_card_has_the_numbers_of_the_results(run: Path, tmp_path: Path, customspec: Command) -> None:
    document = json.loads((run / "results.json").read_text())
    candidate = next(c for c in document["candidates"] if c["key"] == "both@0")
    out = tmp_path / "out"
    export(customspec, run, out, "--candidate", "both@0")
    card = ModelCard.load(out / "README.md")
    assert card.data.license == "apache-2.0"
    by_type = {result.metric_type: result for result in card.data.eval_results}
    for name, found in candidate["metrics"]["test"].items():
        assert by_type[name].metric_value == found["value"]
        assert by_type[name].metric_args == {"ci": found["ci"], "confidence": found["confidence"]}
    accuracy = candidate["metrics"]["validation"]["accuracy"]
    assert f"| accuracy | validation | {accuracy['value']:.4g} | {accuracy['ci'][0]:.4g} to" in card.text
    plan = json.loads((run / "plan.json").read_text())
    data = next(step for step in plan["steps"] if step["kind"] == "data")
    for digest in (*data["params"]["splits"].values(), document["spec_digest"], document["plan_digest"]):
        assert digest in card.text
    assert "Hu et al. 2021" in card.text
    assert '{"choice": ["warm", "cold"]}' in card.text or '{"choice": ["cold", "warm"]}' in card.text
    assert (run.parents[2] / "spec.yaml").read_text().rstrip() in card.text


def test_the_cards_lines_load_the_adapter(
    run: Path, tmp_path: Path, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(customspec, run, tmp_path, "--candidate", "both@0")
    lines = (tmp_path / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    (tmp_path / "load.py").write_text(lines)
    card = (tmp_path / "README.md").read_text()
    assert "`BASE` stands for the folder of the base model, model, whose digest is below." in card
    assert f"vllm serve BASE --enable-lora --lora-modules colours={tmp_path.name}" in card
    (tmp_path / "BASE").symlink_to(run.parents[2] / "model")
    monkeypatch.chdir(tmp_path)
    assert isinstance(runpy.run_path("load.py")["model"], PeftModel)


def test_a_spec_that_was_changed_since_is_not_on_the_card(
    run: Path, shared: Workspace, tmp_path: Path, customspec: Command
) -> None:
    shared.spec(CANDIDATES, "confidence: 0.9")
    export(customspec, run, tmp_path / "out", "--candidate", "zero_shot")
    shared.spec(CANDIDATES)
    assert "techniques:" not in (tmp_path / "out" / "README.md").read_text()


def test_the_bundle_asks_as_the_candidate_was_asked(run: Path, tmp_path: Path, customspec: Command) -> None:
    export(customspec, run, tmp_path / "both", "--candidate", "both")
    bundle = json.loads((tmp_path / "both" / "prompt.json").read_text())
    assert [message["role"] for message in bundle["example"]["messages"]] == ["system", "user", "assistant", "user"]
    assert bundle["shots"][0]["user"] == bundle["example"]["messages"][1]["content"]
    assert bundle["example"]["text"].endswith("<|assistant|>")
    assert (bundle["choices"], bundle["shots_by_question"]) == (["cold", "warm"], False)
    assert not (tmp_path / "both" / "demonstrations.jsonl").exists()


def test_demonstrations_of_each_questions_own_come_as_a_pool(run: Path, tmp_path: Path, customspec: Command) -> None:
    export(customspec, run, tmp_path / "few", "--candidate", "few_shot")
    bundle = json.loads((tmp_path / "few" / "prompt.json").read_text())
    assert (bundle["shots_by_question"], bundle["shots"]) == (True, [])
    pool = [json.loads(line) for line in (tmp_path / "few" / "demonstrations.jsonl").read_text().splitlines()]
    assert len(pool) == 24
    asked = bundle["example"]["messages"][1]["content"]
    assert asked in {row["user"] for row in pool}


def test_what_learned_a_prompt_is_not_merged(run: Path, tmp_path: Path, customspec: Command) -> None:
    ended = customspec("export", run, "--candidate", "prefix_tuning", "--merge", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "technique `prefix_tuning` cannot be merged" in ended.err
    ended = customspec("export", run, "--candidate", "zero_shot", "--merge", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "there is nothing to merge" in ended.err
    assert not list(tmp_path.glob("*out*")), "nothing is left of it"


def test_a_merged_model_that_answers_otherwise_is_refused(
    run: Path, tmp_path: Path, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customspec.ml.adapters.merge", lambda model: model.unload())
    ended = customspec("export", run, "--candidate", "both", "--merge", "--out", tmp_path / "out")
    assert ended.code == 5
    assert "it answers otherwise than the model with its adapter" in ended.err
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_in_use_is_left_alone(run: Path, tmp_path: Path, customspec: Command) -> None:
    kept = Workspace(tmp_path).write("out/mine.txt", "mine")
    ended = customspec("export", run, "--candidate", "zero_shot", "--out", tmp_path / "out")
    assert ended.code == 5
    assert "is there and not empty" in ended.err
    assert [path.name for path in kept.parent.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    export(customspec, run, tmp_path / "empty", "--candidate", "zero_shot")


def test_what_a_killed_export_left_goes_with_the_next_to_the_same_place(
    run: Path, tmp_path: Path, customspec: Command
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with draft(tmp_path, ".out-") as made:
        [living] = tmp_path.iterdir()
        dead, other = (
            living.with_name(living.name.replace(f"{kind}{os.getpid()}@", f"{into}{gone.pid}@"))
            for kind, into in ((".out-", ".out-"), (".out-", ".out-mine-"))
        )
        for folder in (dead, other, made):
            folder.mkdir(exist_ok=True)
            (folder / "model.safetensors").touch()
            os.utime(folder, (0, 0))
        export(customspec, run, tmp_path / "out", "--candidate", "zero_shot")
        assert not dead.exists()
        assert living.exists(), "of a process that is alive"
        assert other.exists(), "of another export"


def test_an_export_is_on_the_disk_before_and_after_it_has_its_name(
    run: Path, tmp_path: Path, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = list[str](), os.fsync

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    told = export(customspec, run, tmp_path / "out", "--candidate", "zero_shot")
    before = {Path(path).name for path in synced if path.startswith(f"{tmp_path}/.out-")}
    assert set(told["files"]) <= before
    assert synced[-1] == str(tmp_path)


def test_a_candidate_that_the_run_does_not_have(run: Path, tmp_path: Path, customspec: Command) -> None:
    ended = customspec("export", run, "--candidate", "ia3", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "no candidate ia3; it has: zero_shot@0" in ended.err


def test_generated_texts_are_compared_too(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(
        "techniques: [{lora: {r: 2, max_steps: 2}}]",
        "generation: {max_new_tokens: 6}",
        prompt='prompt: {user: "{{ text }}", answer: "{{ label }}"}',
    )
    document = customspec("run", spec, "--json").json
    exported = export(customspec, workspace.run_folder(document), workspace.root / "out", "--merge")
    assert exported["parity"]["rows"] == 12
    assert exported["parity"]["same"] + exported["parity"]["ties"] == 12


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_an_artifact_that_is_not_the_runs_is_not_used(
    shared: Workspace, run: Path, tmp_path: Path, customspec: Command, name: str, how: str
) -> None:
    copy = tmp_path / ".customspec" / "runs" / run.name
    shutil.copytree(run, copy)
    file = copy / "candidates" / "both@0" / name
    content = file.read_bytes()
    file.unlink()
    if how == "changed":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for command in (("predict", copy, shared.root / "test.jsonl"), ("export", copy, "--out", tmp_path / "out")):
        ended = customspec(*command, "--candidate", "both@0", "--store", shared.root / ".customspec")
        assert ended.code == 5
        assert f"the artifact of both@0 is not opened: {name} has changed since the run" in ended.err
    assert not (tmp_path / "out").exists()
