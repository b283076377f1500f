"""Whole runs on a tiny model: what stands in the results, what is run again, how a run ends."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from support import Ended, Workspace, colours, make_model, run

Command = Callable[..., Ended]

ALL = "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2, num_train_epochs: 1}}, {full: {max_steps: 2}}]"
GOAL = "goal: {metric: accuracy, at_least: 0.99}"


def by_key(document: Any) -> dict[str, Any]:
    return {candidate["key"]: candidate for candidate in document["candidates"]}


def statuses(document: Any) -> dict[str, str]:
    return {key: candidate["status"] for key, candidate in by_key(document).items()}


@pytest.fixture
def finished(workspace: Workspace, customspec: Command) -> tuple[Workspace, Any]:
    return workspace, run(customspec, workspace.spec(ALL, GOAL))


def test_a_run_leaves_results_predictions_artifacts_plan_environment_and_log(finished: tuple[Workspace, Any]) -> None:
    workspace, document = finished
    folder = workspace.run_folder(document)
    assert json.loads((folder / "results.json").read_text()) == document
    assert {path.name for path in folder.iterdir()} == {
        "candidates",
        "environment.json",
        "evidence.json",
        "log.txt",
        "plan.json",
        "results.json",
    }
    assert statuses(document) == dict.fromkeys(["zero_shot@0", "few_shot@0", "lora@0", "full@0"], "done")
    for candidate in document["candidates"]:
        artifact = folder / candidate["artifact"]
        for split, metrics in candidate["metrics"].items():
            lines = (artifact / "predictions" / split / "predictions.jsonl").read_text().splitlines()
            right = sum(json.loads(line)["correct"] for line in lines)
            assert metrics["accuracy"]["n"] == len(lines) == 12
            assert metrics["accuracy"]["value"] == right / 12
            assert metrics["accuracy"]["ci"][0] <= right / 12 <= metrics["accuracy"]["ci"][1]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tuned = folder / "candidates" / "full@0"
    base = AutoTokenizer.from_pretrained(workspace.root / "model")
    with_it = AutoTokenizer.from_pretrained(tuned)
    assert with_it.get_vocab() == base.get_vocab()
    assert with_it.chat_template == base.chat_template
    assert AutoModelForCausalLM.from_pretrained(tuned).config.vocab_size == 300
    assert {path.name for path in (folder / "candidates" / "lora@0").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "predictions",
        "prompt.json",
    }
    assert (folder / "candidates" / "full@0" / "model.safetensors").is_file()


def test_results_hold_the_costs_of_every_candidate(finished: tuple[Workspace, Any]) -> None:
    _, document = finished
    lora, zero, few = (by_key(document)[key]["cost"] for key in ("lora@0", "zero_shot@0", "few_shot@0"))
    assert lora["train_seconds"] > 0
    assert lora["artifact_bytes"] > lora["trainable_parameters"] * 4
    assert zero["train_seconds"] == zero["trainable_parameters"] == zero["artifact_bytes"] == 0
    assert few["prompt_tokens_per_example"] > zero["prompt_tokens_per_example"] > 0
    assert all(candidate["cost"]["evaluate_seconds"] > 0 for candidate in document["candidates"])


def test_a_prompting_candidate_keeps_its_prompt_and_its_shots(finished: tuple[Workspace, Any]) -> None:
    workspace, document = finished
    prompt = json.loads((workspace.run_folder(document) / "candidates" / "few_shot@0" / "prompt.json").read_text())
    assert prompt["user"] == "{{ text }}"
    assert prompt["choices"] == ["cold", "warm"]
    assert [set(shot) for shot in prompt["shots"]] == [{"id", "user", "answer"}] * 2


def test_a_second_run_executes_nothing_and_says_so(finished: tuple[Workspace, Any], customspec: Command) -> None:
    workspace, first = finished
    ended = customspec("run", workspace.root / "spec.yaml")
    assert ended.code == 0
    assert "nothing was executed" in ended.out
    second = json.loads((workspace.root / ".customspec" / "runs" / "colours-0002" / "results.json").read_text())
    assert set(statuses(second).values()) == {"cached"}
    assert second["decision"] == first["decision"]
    assert [c["metrics"] for c in second["candidates"]] == [c["metrics"] for c in first["candidates"]]


def test_changing_one_candidates_prompt_runs_only_that_candidate(workspace: Workspace, customspec: Command) -> None:
    run(
        customspec, workspace.spec("techniques: [zero_shot, {id: terse, zero_shot: {}, prompt: {user: '{{ text }}?'}}]")
    )
    changed = workspace.spec("techniques: [zero_shot, {id: terse, zero_shot: {}, prompt: {user: '{{ text }}!'}}]")
    assert statuses(run(customspec, changed)) == {"zero_shot@0": "cached", "terse@0": "done"}


def test_a_run_in_another_store_gives_the_same_bytes(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [{lora: {r: 2, lora_dropout: 0.1, max_steps: 4}}, {full: {max_steps: 2}}]")

    def weights(store: str) -> list[str]:
        document = run(customspec, spec, "--store", workspace.root / store)
        folder = workspace.root / store / "runs" / document["run"] / "candidates"
        files = [folder / "lora@0" / "adapter_model.safetensors", folder / "full@0" / "model.safetensors"]
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    assert weights("first") == weights("second")


def test_another_seed_gives_another_adapter_and_both_are_reported(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [{lora: {r: 2, max_steps: 2}}]", "seeds: [0, 1]")
    document = run(customspec, spec)
    assert list(by_key(document)) == ["lora@0", "lora@1"]
    folder = workspace.run_folder(document) / "candidates"
    first, second = ((folder / key / "adapter_model.safetensors").read_bytes() for key in ("lora@0", "lora@1"))
    assert first != second
    assert document["decision"]["chosen_key"] == "lora@0"


def test_a_ladder_stops_at_the_first_rung_that_reaches_the_goal(workspace: Workspace, customspec: Command) -> None:
    goal = "goal: {metric: accuracy, at_least: 0.0}"
    document = run(customspec, workspace.spec(ALL, goal, "strategy: ladder"))
    assert statuses(document) == {
        "zero_shot@0": "done",
        "few_shot@0": "skipped",
        "lora@0": "skipped",
        "full@0": "skipped",
    }
    assert document["decision"]["chosen"] == "zero_shot"
    assert "zero_shot@0 already reaches the goal" in by_key(document)["full@0"]["reason"]


def test_a_ladder_without_success_climbs_every_rung(workspace: Workspace, customspec: Command) -> None:
    goal = "goal: {metric: accuracy, at_least: 0.75}"
    document = run(
        customspec, workspace.spec("techniques: [{few_shot: {shots: 2}}, zero_shot]", goal, "strategy: ladder")
    )
    assert statuses(document) == {"zero_shot@0": "done", "few_shot@0": "done"}
    assert document["decision"]["goal_met"] is False


def test_a_missed_goal_ends_with_3_only_when_it_is_required(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot]", "goal: {metric: accuracy, at_least: 1.0}")
    assert customspec("run", spec).code == 0
    assert customspec("run", spec, "--require-goal").code == 3


def test_tuned_and_prompted_at_once(workspace: Workspace, customspec: Command) -> None:
    entry = "{id: both, lora: {r: 2, max_steps: 2}, prompting: {few_shot: {shots: 2}}}"
    document = run(customspec, workspace.spec(f"techniques: [zero_shot, {entry}]"))
    costs = {key: candidate["cost"] for key, candidate in by_key(document).items()}
    assert costs["both@0"]["prompt_tokens_per_example"] > costs["zero_shot@0"]["prompt_tokens_per_example"]
    assert costs["both@0"]["trainable_parameters"] > 0


def test_a_prefix_may_be_made_by_a_perceptron(workspace: Workspace, customspec: Command) -> None:
    entry = "{prefix_tuning: {prefix_projection: true, encoder_hidden_size: 8, num_virtual_tokens: 3, max_steps: 2}}"
    document = run(customspec, workspace.spec(f"techniques: [{entry}]"))
    (candidate,) = document["candidates"]
    # 3 x the keys' width of 32; a map to 8, one to keys and values of two layers
    assert candidate["cost"]["trainable_parameters"] == 3 * 32 + 33 * 8 + 9 * 2 * 2 * 32
    text = customspec(
        "plan", workspace.spec(f"techniques: [{entry.replace('{prefix_p', '{init_weights: text, prefix_p')}]")
    )
    assert text.code == 2
    assert "`init_weights: text` sets keys and values themselves" in text.err


def test_a_candidate_may_bring_its_own_model(workspace: Workspace, customspec: Command) -> None:
    make_model(workspace.root / "wider", hidden_size=64)
    spec = workspace.spec("techniques: [zero_shot, {id: gauge, zero_shot: {}, base_model: {path: wider}}]")
    costs = {key: candidate["cost"] for key, candidate in by_key(run(customspec, spec)).items()}
    assert costs["gauge@0"]["total_parameters"] > costs["zero_shot@0"]["total_parameters"]


def test_validation_rows_are_split_off_where_none_are_given(workspace: Workspace, customspec: Command) -> None:
    text = workspace.spec("techniques: [zero_shot]").read_text().replace(" validation: validation.jsonl,", "")
    document = run(customspec, workspace.write("spec.yaml", text))
    (candidate,) = document["candidates"]
    assert candidate["metrics"]["validation"]["accuracy"]["n"] == 5  # a fifth of 24
    assert candidate["metrics"]["test"]["accuracy"]["n"] == 12


def test_csv_and_free_generation_without_a_chat_template(workspace: Workspace, customspec: Command) -> None:
    make_model(workspace.root / "plain", "gpt2", chat=False)
    for name, start in (("train", 0), ("test", 100)):
        lines = "".join(f'"{row["text"]}, said",{row["label"]}\n' for row in colours(10, start))
        workspace.write(f"{name}.csv", "words,kind\n" + lines)
    spec = workspace.write(
        "generation.yaml",
        "customspec: 1\nname: words\nbase_model: {path: plain}\ndata: {train: train.csv, test: test.csv}\n"
        'prompt: {user: "{{ words }}", answer: "{{ kind }}"}\n'
        "techniques: [one_shot, {lora: {r: 2, max_steps: 1}}]\n",
    )
    document = run(customspec, spec)
    assert set(by_key(document)["lora@0"]["metrics"]["test"]) == {"token_f1", "exact_match"}
    plan = json.loads((workspace.run_folder(document) / "plan.json").read_text())
    limits = {s["params"]["generation"]["max_new_tokens"] for s in plan["steps"] if s["kind"] == "evaluate"}
    assert limits == {7}  # `warm` and the end are 5 byte tokens, and a quarter more


def test_a_limit_and_max_steps_keep_a_run_short(workspace: Workspace, customspec: Command) -> None:
    document = run(customspec, workspace.spec(ALL), "--limit", "3", "--max-steps", "1", "--only", "lora")
    assert list(by_key(document)) == ["lora@0"]
    assert by_key(document)["lora@0"]["metrics"]["test"]["accuracy"]["n"] == 3
    assert document["shortened"] == {"limit": 3, "max_steps": 1}
    told = customspec("run", workspace.root / "spec.yaml", "--limit", "3", "--max-steps", "1", "--only", "lora").err
    assert "a short run, to try the spec: at most 3 rows of each split and at most 1 steps of each training" in told


def test_long_rows_are_dropped_and_counted_or_cut(workspace: Workspace, customspec: Command) -> None:
    workspace.rows("test.jsonl", [*colours(4, 300), {"text": "far " * 300 + "red", "label": "warm"}])
    spec = workspace.spec("techniques: [zero_shot]")
    assert customspec("validate", spec).code == 2
    spec.write_text(spec.read_text().replace("test: test.jsonl}", "test: test.jsonl, on_long: drop}"))
    dropped = by_key(run(customspec, spec))["zero_shot@0"]
    assert (dropped["metrics"]["test"]["accuracy"]["n"], dropped["cost"]["dropped_rows"]) == (4, 1)
    spec.write_text(spec.read_text().replace("on_long: drop", "on_long: truncate"))
    cut = by_key(run(customspec, spec))["zero_shot@0"]
    assert (cut["metrics"]["test"]["accuracy"]["n"], cut["cost"]["dropped_rows"]) == (5, 0)


def test_a_limit_trains_nothing_again(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [{lora: {r: 2, max_steps: 2}}]")
    run(customspec, spec)
    document = run(customspec, spec, "--limit", "3")
    assert document["steps"]["train:lora@0"]["status"] == "cached"
    assert document["steps"]["evaluate:lora@0:test"]["status"] == "done"


def test_intervals_are_wider_where_rows_belong_together(workspace: Workspace, customspec: Command) -> None:
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200)):
        rows = [{**row, "talk": f"{name} {index // 6}"} for index, row in enumerate(colours(count, start))]
        workspace.rows(f"{name}.jsonl", rows)
    spec = workspace.spec("techniques: [zero_shot]")
    alone = by_key(run(customspec, spec))["zero_shot@0"]["metrics"]["test"]["accuracy"]
    spec.write_text(spec.read_text().replace("test: test.jsonl}", "test: test.jsonl, group: talk}"))
    together = by_key(run(customspec, spec))["zero_shot@0"]["metrics"]["test"]["accuracy"]
    assert together["value"] == alone["value"]
    assert together["ci"] != alone["ci"]


def test_set_lays_a_value_over_the_spec(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot]", GOAL)
    document = run(customspec, spec, "--set", "goal.at_least=0.0")
    assert document["goal"] == {"metric": "accuracy", "at_least": 0.0}
    assert customspec("run", spec, "--set", "goal.at_leats=0.0").code == 2


def test_a_hub_model_is_found_in_the_local_cache_and_missed_offline(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = workspace.root / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = workspace.spec("techniques: [zero_shot]").read_text()
    spec = workspace.write("spec.yaml", text.replace("{path: model}", "{hub: owner/tiny}"))

    planned = customspec("plan", spec)
    assert planned.code == 0, planned.err
    assert "unresolved: owner/tiny@main" in planned.out
    assert customspec("plan", spec, "--out", workspace.root / "plan.json").code == 2
    missed = customspec("run", spec)
    assert missed.code == 4
    assert "owner/tiny is not in the local cache and cannot be fetched" in missed.err

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = cache / "models--owner--tiny"
    shutil.copytree(workspace.root / "model", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert statuses(run(customspec, spec)) == {"zero_shot@0": "done"}
