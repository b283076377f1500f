"""`customspec show`: rows as the model sees them."""

from __future__ import annotations

from collections.abc import Callable

from support import Ended, Workspace, colours

Command = Callable[..., Ended]


def test_the_prompt_is_shown_as_the_chat_template_writes_it(workspace: Workspace, customspec: Command) -> None:
    ended = customspec("show", workspace.spec("techniques: [{few_shot: {shots: 2}}]"), "--json")
    (row,) = ended.json
    assert row["prompt"].startswith("<|system|>Say whether the colour is warm or cold.<|end|>\n<|user|>")
    assert row["prompt"].endswith("<|end|>\n<|user|>number 200 is amber<|end|>\n<|assistant|>")
    assert row["prompt"].count("<|assistant|>") == 3
    assert row["answer"] == "warm<|end|>"
    assert len(row["prompt_ids"]) == row["prompt_tokens"]
    assert row["answer_pieces"] == ["w", "a", "r", "m", "<|end|>"]


def test_every_candidate_and_as_many_rows_as_asked(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot, {lora: {r: 2}}]")
    ended = customspec("show", spec, "--rows", "2", "--split", "train", "--json")
    assert [(row["candidate"], row["row"]) for row in ended.json] == [
        ("zero_shot@0", "train:1"),
        ("zero_shot@0", "train:2"),
        ("lora@0", "train:1"),
        ("lora@0", "train:2"),
    ]


def test_a_cut_row_is_shown_cut_and_a_dropped_one_is_told(workspace: Workspace, customspec: Command) -> None:
    workspace.rows("test.jsonl", [{"text": "far " * 300, "label": "warm"}, *colours(2, 700)])
    text = workspace.spec("techniques: [zero_shot]").read_text()
    cut = workspace.write("cut.yaml", text.replace("test: test.jsonl}", "test: test.jsonl, on_long: truncate}"))
    (row,) = customspec("show", cut, "--json").json
    assert row["prompt_tokens"] + 5 <= 512
    assert row["prompt"].endswith("<|end|>\n<|assistant|>")
    dropped = workspace.write("drop.yaml", text.replace("test: test.jsonl}", "test: test.jsonl, on_long: drop}"))
    ended = customspec("show", dropped, "--rows", "2")
    assert "row test:1: dropped" in ended.err
    assert "row test:2" in ended.out


def test_nothing_in_a_row_reaches_the_terminal_raw(workspace: Workspace, customspec: Command) -> None:
    workspace.rows("test.jsonl", [{"text": "\x1b[31mred\u202e", "label": "warm"}])
    ended = customspec("show", workspace.spec("techniques: [zero_shot]"))
    assert "\\x1b[31mred\\u202e" in ended.out
    assert "\x1b" not in ended.out
