"""Texts that are long, or slow to tokenize: looking at a spec takes no longer for them, and says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from customspec.compiler import counting, lengths
from customspec.compiler.lengths import LengthBudget
from customspec.inputs import encoding, patience
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.digests import sha256_file
from customspec.inputs.encoding import Asking, TooLongError, encode
from customspec.inputs.tokens import Chat
from customspec.prompts import Example, Message
from support import Ended, Workspace, make_tokenizer

Command = Callable[..., Ended]
MANY = "{{ text * 60000 }}"
TRUNCATED = "data: {train: train.jsonl, validation: validation.jsonl, test: test.jsonl, on_long: truncate}"


def prompt(user: str = "{{ text }}", answer: str = "{{ label }}", choices: str = "  choices: from_data") -> str:
    return f'prompt:\n  user: "{user}"\n  answer: "{answer}"\n{choices}'


@pytest.fixture
def tokenized(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters each call of the tokenizer was given."""
    given: list[int] = []
    encode_all = Chat.encode_all

    def counted(self: Chat, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
        given.append(sum(map(len, texts)))
        return encode_all(self, texts, special=special)

    monkeypatch.setattr(Chat, "encode_all", counted)
    return given


def truncated(spec: Path) -> Path:
    lines = spec.read_text().splitlines()
    spec.write_text("\n".join(TRUNCATED if line.startswith("data:") else line for line in lines) + "\n")
    return spec


def test_a_prompt_of_megabytes_is_not_tokenized_for_an_estimate(
    workspace: Workspace, customspec: Command, tokenized: list[int]
) -> None:
    """Each row is 1.2 million characters."""
    spec = truncated(workspace.spec("techniques: [zero_shot]", prompt=prompt(MANY)))
    ended = customspec("plan", spec, "--json")
    assert ended.code == 0, ended.err
    assert 0 < sum(tokenized) < 14 * counting.COUNTED + 1000
    [one] = ended.json["candidates"]
    assert one["estimate"]["prompt_tokens"] == 512  # what is cut to the context is no longer than it


def test_a_prompt_of_megabytes_that_is_an_error_is_told_at_once(
    workspace: Workspace, customspec: Command, tokenized: list[int]
) -> None:
    spec = workspace.spec("techniques: [zero_shot]", prompt=prompt(MANY))
    ended = customspec("validate", spec)
    assert ended.code == 2
    assert "CS408 validation.jsonl:1 needs at least " in ended.err
    assert sum(tokenized) < 14 * counting.COUNTED + 1000


def test_an_answer_of_megabytes_is_not_tokenized(
    workspace: Workspace, customspec: Command, tokenized: list[int]
) -> None:
    answer = "{{ (label ~ text) * 30000 }}"
    spec = workspace.spec("techniques: [zero_shot]", prompt=prompt(answer=answer, choices=""))
    assert customspec("validate", spec).code == 2  # no such answer fits
    assert sum(tokenized) < 14 * counting.COUNTED + counting.TOGETHER


def test_a_tokenizer_that_is_slow_is_told_where_the_model_is_named(
    workspace: Workspace, customspec: Command, tiny_header: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FLOOR", 0.5)
    headers = workspace.root / ".customspec" / "headers"
    headers.unlink()
    shutil.copytree(tiny_header, headers)
    for file in headers.glob("*/tokenizer.json"):
        slow = {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}
        file.write_text(json.dumps({**json.loads(file.read_text()), "pre_tokenizer": slow}))
        known = read_checksummed(file.parent / "header.json")
        assert known is not None
        known["files"]["tokenizer.json"] = sha256_file(file)
        write_checksummed(file.parent / "header.json", known)
    workspace.rows("test.jsonl", [{"text": ("a" * 21 + "!") * 20, "label": label} for label in ("warm", "cold")])
    workspace.rows("validation.jsonl", [{"text": "a", "label": label} for label in ("warm", "cold")])
    ended = customspec("validate", workspace.spec("techniques: [zero_shot]"))
    assert ended.code == 4
    assert "CS502 the model's tokenizer takes too long" in ended.err
    assert "Traceback" not in ended.err


# ------------------------------------------------------------------- the same answers as when all is tokenized


def chat(folder: Path) -> Chat:
    make_tokenizer(chat=False).save_pretrained(folder)
    return Chat.load(folder)


def test_of_usual_texts_estimates_are_exact(tmp_path: Path) -> None:
    asked = chat(tmp_path)
    conversations = [[Message("user", "a word " * count)] for count in (1, 5, 30)]
    exact = [asked.prompt_ids(one) for one in conversations]
    assert counting.prompts(conversations, asked, 1000) == [(ids, len(ids)) for ids in exact]
    assert counting.prompts(conversations, asked, 9) == [(ids, min(9, len(ids))) for ids in exact]
    assert counting.prompt_lengths(conversations, asked) == [len(ids) for ids in exact]
    answers = ["one", "two and more", "three"]
    assert counting.answers(answers, asked) == [len(asked.answer_ids(text)) for text in answers]
    assert counting.longest_answer(answers, asked) == len(asked.answer_ids("two and more"))
    assert counting.longest_answer([], asked) is None
    choices = ["warm", "wary", "cold"]
    assert counting.tree_nodes(choices, asked) == counting.tree_of([asked.answer_ids(one) for one in choices])


def test_of_long_texts_a_beginning_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "COUNTED", 100)
    asked = chat(tmp_path)
    conversation = [Message("user", "a word " * 300)]
    exact = len(asked.prompt_ids(conversation))
    [(begun, tokens)] = counting.prompts([conversation], asked, 10_000)
    assert begun == asked.encode(("a word " * 300)[:100])
    assert abs(tokens - exact) < exact / 10


@pytest.mark.parametrize("on_long", ["drop", "truncate", "error"])
def test_rows_whose_beginning_is_too_long_are_treated_as_when_all_is_tokenized(
    on_long: encoding.OnLong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = chat(tmp_path)
    rows = [Example(str(count), None, "ab cd " * count, "x") for count in (3, 50, 4, 500)]
    if on_long == "error":
        rows = [rows[0], rows[3]]

    def told() -> object:
        try:
            return encode(rows, Asking(), asked, context=40, reserve=None, on_long=on_long)
        except TooLongError as error:
            return error.id

    exact = told()
    monkeypatch.setattr(encoding, "LONG", 1)
    monkeypatch.setattr(encoding, "USUAL", 5)
    assert told() == exact
    if on_long == "error":
        with pytest.raises(TooLongError, match="row 500 needs at least "):
            encode(rows, Asking(), asked, context=40, reserve=None, on_long=on_long)


def test_what_is_too_much_to_check_is_left_to_the_run_and_said(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = LengthBudget(room=10)
    rows = [(Example(str(count), None, "", ""), 6) for count in range(4)]
    assert [row.id for few in looked.some(rows) for row in few] == ["0", "1"]
    assert looked.left == 2
    monkeypatch.setattr(lengths.LengthBudget.__init__, "__defaults__", (1, 0))
    monkeypatch.setattr(lengths, "plainly_fits", lambda *_: False)
    monkeypatch.setattr(lengths, "surely_fit", lambda conversations, *_: [False] * len(conversations))
    ended = customspec("plan", workspace.spec("techniques: [zero_shot]"))
    assert ended.code == 0
    assert "the lengths of 23 long rows are not checked beforehand" in ended.out + ended.err
