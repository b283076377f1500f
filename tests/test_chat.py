"""Chat data in whole commands: trained, evaluated, shown, asked anew; and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import WORDS, Ended, Workspace, make_model

Command = Callable[..., Ended]
PROMPT = "prompt: {messages: talk}"
CHOOSING = "prompt: {messages: talk, choices: from_data}"


def talk(number: int, *, turns: int = 2) -> dict[str, Any]:
    """A conversation whose every answer follows from its question."""
    names = sorted(WORDS)
    said = [{"role": "system", "content": "Warm or cold?"}]
    for turn in range(turns):
        name = names[(number + turn) % len(names)]
        said += [{"role": "user", "content": f"{name} {number}"}, {"role": "assistant", "content": WORDS[name]}]
    return {"talk": said, "origin": f"talk {number}"}


@pytest.fixture
def chatting(workspace: Workspace) -> Workspace:
    for name, count, start in (("train", 24, 0), ("validation", 8, 100), ("test", 8, 200)):
        workspace.rows(f"{name}.jsonl", [talk(start + number) for number in range(count)])
    return workspace


def predictions(workspace: Workspace, document: Any, key: str, split: str) -> list[dict[str, Any]]:
    runs = workspace.run_folder(document)
    lines = (runs / "candidates" / key / "predictions" / split / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_chat_data_is_trained_on_and_answered_in_both_splits(chatting: Workspace, customspec: Command) -> None:
    techniques = "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2, max_steps: 2}}]"
    spec = chatting.spec("generation: {max_new_tokens: 6}", techniques, prompt=PROMPT)
    document = customspec("run", spec, "--json").json
    assert [candidate["status"] for candidate in document["candidates"]] == ["done"] * 3
    for candidate in document["candidates"]:
        for split in ("validation", "test"):
            found = predictions(chatting, document, candidate["key"], split)
            assert [record["answer"] for record in found] == [
                talk((100 if split == "validation" else 200) + n)["talk"][-1]["content"] for n in range(8)
            ]
            assert candidate["metrics"][split]["exact_match"]["n"] == 8


@pytest.mark.slow
def test_a_model_learns_its_answers_from_every_turn(chatting: Workspace, customspec: Command) -> None:
    # the last answer is always the same: what else is known afterwards was learned from earlier turns
    for name, count in (("train", 24), ("validation", 6)):
        rows = [talk(number) for number in range(count)]
        for row in rows:
            row["talk"] += [{"role": "user", "content": "Thanks"}, {"role": "assistant", "content": "ok"}]
        chatting.rows(f"{name}.jsonl", rows)
    chatting.rows("test.jsonl", [talk(number, turns=1) for number in range(12)])
    options = "{max_steps: 120, learning_rate: 3e-3, per_device_train_batch_size: 8}"
    choices = "prompt: {messages: talk, choices: [warm, cold, ok]}"
    document = customspec("run", chatting.spec(f"techniques: [{{full: {options}}}]", prompt=choices), "--json").json
    (candidate,) = document["candidates"]
    assert candidate["metrics"]["test"]["accuracy"]["value"] >= 0.9


def test_choices_of_chat_data_are_its_last_answers(chatting: Workspace, customspec: Command) -> None:
    spec = chatting.spec("techniques: [zero_shot, {few_shot: {shots: 2, calibrate: contextual}}]", prompt=CHOOSING)
    document = customspec("run", spec, "--json").json
    for key in ("zero_shot@0", "few_shot@0"):
        for record in predictions(chatting, document, key, "test"):
            assert set(record["probabilities"]) == {"cold", "warm"}
            assert sum(record["probabilities"].values()) == pytest.approx(1)


def test_validation_rows_are_split_off_by_the_last_answer(chatting: Workspace, customspec: Command) -> None:
    rows = [talk(0) for _ in range(20)] + [talk(1 if talk(1)["talk"][-1] != talk(0)["talk"][-1] else 2)] * 5
    answers = {row["talk"][-1]["content"] for row in rows}
    assert len(answers) == 2
    chatting.rows("train.jsonl", rows)
    text = chatting.spec("techniques: [zero_shot]", prompt=CHOOSING).read_text()
    spec = chatting.write("split.yaml", text.replace("validation: validation.jsonl, ", ""))
    document = customspec("run", spec, "--json").json
    found = [record["answer"] for record in predictions(chatting, document, "zero_shot@0", "validation")]
    assert sorted(map(found.count, answers)) == [1, 4]


def test_show_prints_what_the_loss_sees_of_every_turn(chatting: Workspace, customspec: Command) -> None:
    spec = chatting.spec("techniques: [{lora: {r: 2}}]", prompt=PROMPT)
    (row,) = customspec("show", spec, "--split", "train", "--json").json
    assert row["prompt"] == (
        "<|system|>Warm or cold?<|end|>\n<|user|>amber 0<|end|>\n<|assistant|>warm<|end|>\n"
        "<|user|>blue 0<|end|>\n<|assistant|>"
    )
    assert ["".join(pieces) for pieces in row["learned_pieces"]] == ["warm<|end|>"]
    assert row["answer"] == "cold<|end|>"
    ended = customspec("show", spec, "--split", "train")
    assert "the loss sees 5 answer tokens: ⟨c⟩ ⟨o⟩ ⟨l⟩ ⟨d⟩ ⟨<|end|>⟩" in ended.out
    assert "in training the loss sees 5 tokens of an earlier answer as well: ⟨w⟩ ⟨a⟩ ⟨r⟩ ⟨m⟩ ⟨<|end|>⟩" in ended.out


def test_a_template_that_changes_earlier_turns_is_told(
    chatting: Workspace, customspec: Command, tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "changing")
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content if loop.last else m.content | upper }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    text = chatting.spec("techniques: [{lora: {r: 2, max_steps: 1}}]", prompt=PROMPT).read_text()
    spec = chatting.write("changing.yaml", text.replace("path: model", f"path: {folder}"))
    ended = customspec("show", spec, "--split", "train")
    assert "row train:1: the chat template changes earlier turns; the loss sees the last" in ended.err


def test_what_a_template_leaves_out_is_told(chatting: Workspace, customspec: Command, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "deaf")
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    note = f"the chat template of {folder} leaves out what `system` says: the model never sees it"
    for parts, told in (('system: Hello, user: "{{ origin }}"', True), ('user: "{{ origin }}"', False)):
        spec = chatting.spec(
            "techniques: [zero_shot]", prompt=f'prompt: {{{parts}, answer: "{{{{ origin | upper }}}}"}}'
        )
        there = chatting.write("deaf.yaml", spec.read_text().replace("path: model", f"path: {folder}"))
        assert (note in customspec("plan", there).out) is told


def test_a_question_that_was_trained_on_is_told_whatever_its_answer(chatting: Workspace, customspec: Command) -> None:
    other = talk(3)
    other["talk"][-1] = {"role": "assistant", "content": "mild"}
    chatting.rows("test.jsonl", [talk(200), other])
    ended = customspec("validate", chatting.spec("techniques: [zero_shot]", prompt=PROMPT))
    assert "1 test row is also in `train`: test.jsonl:2 is train.jsonl:4" in ended.err


def test_new_conversations_are_answered(chatting: Workspace, customspec: Command) -> None:
    spec = chatting.spec("techniques: [zero_shot]", prompt=CHOOSING)
    document = customspec("run", spec, "--json").json
    run = chatting.run_folder(document)
    asked = {"talk": talk(7)["talk"][:-1], "note": "a column of its own"}
    rows = chatting.rows("new.jsonl", [asked, {**asked, "talk": talk(8)["talk"]}])
    (first, second) = [
        json.loads(line) for line in customspec("predict", run, rows, "--candidate", "zero_shot@0").out.splitlines()
    ]
    assert first["prediction"] in {"warm", "cold"}
    assert first["note"] == "a column of its own"
    assert second["prediction"] in {"warm", "cold"}
    bad = chatting.rows("bad.jsonl", [{"talk": [{"role": "robot", "content": "hello"}]}])
    ended = customspec("predict", run, bad, "--candidate", "zero_shot@0")
    assert ended.code == 2
    assert "turn 1 has the unknown role `robot`" in ended.err


def test_a_candidate_may_bring_a_prompt_of_the_other_kind(chatting: Workspace, customspec: Command) -> None:
    templates = '{id: templates, zero_shot: {}, prompt: {user: "{{ origin }}", answer: "{{ origin | upper }}"}}'
    spec = chatting.spec(f"techniques: [zero_shot, {templates}]", prompt=PROMPT)
    shown = customspec("show", spec, "--json").json
    assert [row["answer"] for row in shown][1] == "TALK 200<|end|>"
    assert shown[1]["prompt"] == "<|user|>talk 200<|end|>\n<|assistant|>"
    back = chatting.spec(
        "techniques: [{id: chat, zero_shot: {}, prompt: {messages: talk}}]",
        prompt='prompt: {system: Hello, user: "{{ origin }}", answer: "{{ origin | upper }}"}',
    )
    (row,) = customspec("show", back, "--json").json
    assert row["prompt"].startswith("<|system|>Warm or cold?<|end|>")
