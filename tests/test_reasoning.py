"""Chain of thought and self-consistency in whole runs, and the options of prompting that the core checks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import Ended, Workspace, colours

Command = Callable[..., Ended]
FREE = """\
prompt:
  user: "{{ text }}"
  answer: "{{ label }}\""""


@pytest.fixture
def reasoned(workspace: Workspace) -> Workspace:
    for name, count, start in (("train", 24, 0), ("validation", 4, 100), ("test", 4, 200)):
        rows = [{**row, "why": f"{row['text'].split()[-1]} looks {row['label']}"} for row in colours(count, start)]
        workspace.rows(f"{name}.jsonl", rows)
    return workspace


def run(workspace: Workspace, customspec: Command, *lines: str, prompt: str = "") -> Any:
    ended = customspec("run", workspace.spec(*lines, prompt=prompt), "--json")
    assert ended.code == 0, ended.err
    return ended.json


def predictions(workspace: Workspace, document: Any, key: str) -> list[dict[str, Any]]:
    folder = workspace.candidate_folder(document, key)
    return [json.loads(line) for line in (folder / "predictions/test/predictions.jsonl").read_text().splitlines()]


def evaluation(workspace: Workspace, customspec: Command, *lines: str, prompt: str = "") -> dict[str, Any]:
    steps = customspec("plan", workspace.spec(*lines, prompt=prompt), "--json").json["steps"]
    params: dict[str, Any] = next(step for step in steps if step["kind"] == "evaluate")["params"]
    return params


def test_a_tuned_chain_of_thought_learns_to_reason(reasoned: Workspace, customspec: Command) -> None:
    tuned = "{lora: {r: 2}, prompting: {chain_of_thought: {rationale: why, shots: 1}}}"
    (row,) = customspec("show", reasoned.spec(f"techniques: [{tuned}]"), "--split", "train", "--json").json
    assert row["answer"] == "amber looks warm\nThe answer is warm.<|end|>"
    assert row["prompt"].count("The answer is") == 1
    assert not row["scored"]


def test_an_untrained_model_is_read_as_having_said_nothing(reasoned: Workspace, customspec: Command) -> None:
    document = run(reasoned, customspec, "generation: {max_new_tokens: 8}", "techniques: [chain_of_thought]")
    for record in predictions(reasoned, document, "chain_of_thought@0"):
        assert (record["prediction"], record["votes"], record["unread"]) == ("", {}, 1)
    assert document["candidates"][0]["metrics"]["test"]["accuracy"]["value"] == 0


def test_self_consistency_keeps_every_sample_and_repeats_itself(reasoned: Workspace, customspec: Command) -> None:
    lines = ("generation: {max_new_tokens: 8}", "techniques: [{self_consistency: {samples: 3, pattern: '(.)'}}]")
    document = run(reasoned, customspec, *lines, prompt=FREE)
    records = predictions(reasoned, document, "self_consistency@0")
    for record in records:
        assert len(record["samples"]) == 3
        assert sum(record["votes"].values()) + record["unread"] == 3
        most = max(record["votes"].values(), default=0)
        assert record["votes"].get(record["prediction"], 0) == most
        assert record["tie"] == (list(record["votes"].values()).count(most) > 1)
    assert len({text for record in records for text in record["samples"]}) > 3
    again = customspec("run", reasoned.root / "spec.yaml", "--store", reasoned.root / "other", "--json").json
    folder = reasoned.root / "other" / "runs" / str(again["run"]) / "candidates/self_consistency@0/predictions/test"
    assert [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()] == records


@pytest.mark.parametrize(
    ("technique", "prompt", "tokens"),
    [
        ("chain_of_thought", FREE, 256),
        ("self_consistency", "", 256),
        # "orange looks warm", a line's end, "The answer is warm." and the end of turn; a quarter more, and one
        ("{chain_of_thought: {rationale: why, shots: 1}}", "", 38 + 9 + 1),
    ],
)
def test_the_longest_answer_follows_from_the_reasoning(
    reasoned: Workspace, customspec: Command, technique: str, prompt: str, tokens: int
) -> None:
    params = evaluation(reasoned, customspec, f"techniques: [{technique}]", prompt=prompt)
    assert params["generation"]["max_new_tokens"] == tokens
    assert params["choices"] == (None if prompt else ["cold", "warm"])


def test_a_missing_extra_is_told_before_anything_runs(
    reasoned: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customspec_prompting.demonstrations.find_spec", lambda name: None)
    ended = customspec("plan", reasoned.spec("techniques: [{few_shot: {shots: 2, select: similar}}]"))
    assert ended.code == 4
    assert "CS702 technique `few_shot`: `select: similar` needs bm25s" in ended.err
    assert "pip install 'customspec[retrieval]'" in ended.err


def test_shown_reasoning_is_kept_with_the_prompt(reasoned: Workspace, customspec: Command) -> None:
    lines = ("generation: {max_new_tokens: 2}", "techniques: [{chain_of_thought: {rationale: why, shots: 2}}]")
    document = run(reasoned, customspec, *lines)
    folder = reasoned.run_folder(document) / "candidates/chain_of_thought@0"
    shots = json.loads((folder / "prompt.json").read_text())["shots"]
    assert len(shots) == 2
    assert all("The answer is" in shot["answer"] and " looks " in shot["answer"] for shot in shots)


def test_a_folder_of_embeddings_counts_by_what_it_holds_and_not_by_where_it_lies(
    reasoned: Workspace, customspec: Command
) -> None:
    import numpy as np
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models

    def save(name: str, value: float) -> Path:
        folder = reasoned.root / name
        vocabulary = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
        StaticModel(np.array([[1.0, 0.0], [0.5, value]], dtype=np.float32), vocabulary).save_pretrained(folder)
        return folder

    def planned(name: str) -> dict[str, Any]:
        technique = f"{{few_shot: {{shots: 1, select: similar, embeddings: {name}}}}}"
        return evaluation(reasoned, customspec, f"techniques: [{technique}]")

    shutil.copytree(save("one", 1.0), reasoned.root / "same")
    save("other", 2.0)
    one = planned("one")["prompting"]["options"]["embeddings"]
    assert one.startswith("sha256:")
    assert planned("same")["prompting"]["options"]["embeddings"] == one
    assert planned("other")["prompting"]["options"]["embeddings"] != one
    document = run(reasoned, customspec, "techniques: [{few_shot: {shots: 1, select: similar, embeddings: one}}]")
    assert document["candidates"][0]["status"] == "done"
    saved = reasoned.root / "plan.json"
    assert customspec("plan", reasoned.root / "spec.yaml", "--out", saved).code == 0
    save("one", 3.0)
    ended = customspec("run", saved)
    assert ended.code == 5
    assert "one changed" in ended.err
