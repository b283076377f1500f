"""A tokenizer that computes for ever is left, told in a sentence, and asked nothing more."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from customspec.inputs import patience
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.patience import Patience, TooSlowError
from customspec.inputs.tokens import UNTOLD, Chat
from support import make_tokenizer

SLOW = "a" * 21 + "!"  # a tenth of a second each, just below the library's own limit
PLAIN = ["", "short", "a longer text, of more than one line\n" * 9, "bbbb " * 50]


def chat(folder: Path, **parts: object) -> Chat:
    make_tokenizer(chat=False).save_pretrained(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.save(str(folder / "tokenizer.json"))
    return Chat.load(folder)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    monkeypatch.setattr(patience, "FLOOR", 0.2)
    monkeypatch.setattr(patience, "LOOK", 0.05)
    return chat(tmp_path, pre_tokenizer=pre_tokenizers.Split(Regex("(a+)+b"), "isolated"))


def test_texts_that_take_for_ever_are_left_and_told(slow: Chat) -> None:
    assert [len(ids) for ids in slow.encode_all(PLAIN)] == [len(slow.encode(text)) for text in PLAIN]
    with pytest.raises(ChatError, match="the model's tokenizer takes too long"):
        slow.encode(SLOW * 30)
    with pytest.raises(ChatError, match="takes too long"):  # what is short as well: the time of all texts is one
        slow.encode(SLOW)


def test_short_texts_are_counted_together(slow: Chat) -> None:
    def each() -> None:
        for _ in range(400):
            slow.encode(SLOW)

    with pytest.raises(ChatError, match="takes too long"):
        each()


def test_a_break_in_a_long_text_is_told_too(slow: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FLOOR", 60.0)
    with pytest.raises(ChatError, match="breaks on a text"):
        slow.encode("a" * 4000)


def test_what_a_call_raises_is_raised() -> None:
    def fails() -> None:
        raise KeyError("why")

    for characters in (1, 1000):
        with pytest.raises(KeyError, match="why"):
            Patience().within(fails, characters)


def test_time_grows_with_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FLOOR", 0.0)
    with pytest.raises(TooSlowError):
        Patience().within(lambda: 1, 0)
    assert Patience().within(lambda: 1, 10**6) == 1


@pytest.mark.parametrize("fast", ["process_time", "monotonic"])
def test_nobody_pays_for_what_others_compute(monkeypatch: pytest.MonkeyPatch, fast: str) -> None:
    """Of this process, as a tokenizer does that was given up, or beside it on the machine."""
    passed = 0.0
    clocks = {"process_time": lambda: passed, "monotonic": lambda: passed} | {fast: lambda: 100 * passed}
    monkeypatch.setattr(patience, "time", SimpleNamespace(**clocks))
    monkeypatch.setattr(patience, "LOOK", 0.001)
    asked, left = Patience(), threading.Event()

    def takes(seconds: float, *, ends: bool = True) -> None:
        nonlocal passed
        passed += seconds
        if not ends:
            left.wait(60)

    for _ in range(9):
        asked.within(lambda: takes(1.0), 65)
    with pytest.raises(TooSlowError):
        asked.within(lambda: takes(2.0, ends=False), 65)
    left.set()


def test_a_normalizer_that_looks_for_a_pattern_is_not_asked_how_long_a_text_becomes(tmp_path: Path) -> None:
    asked = chat(tmp_path, normalizer=normalizers.Replace(Regex("(a+)+b"), "x"))
    assert asked.most_tokens(SLOW * 10_000) == UNTOLD
