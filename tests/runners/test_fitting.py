"""The scorer's bookkeeping, and what is taken of a `fit`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from customspec.hookspecs import PromptingTechnique, Refusal, Selector
from customspec.inputs.encoding import Encoded, OnLong
from customspec.inputs.tokens import Chat
from customspec.prompts import Example, messages
from customspec.runners.fitting import Likelihoods, UnfitError, checked
from customspec.spec import PromptingOptions, Texts

ROWS = tuple(Example(f"train:{i}", None, "word " * i, f"answer {i}") for i in range(1, 7))


class FirstOptions(PromptingOptions):
    shots: int = Field(0, ge=0)
    """How many."""
    words: Texts = ("a", "b")
    """A list."""
    file: str = "notes"
    """A file."""


class First:
    """Shows the first rows."""

    name, family, summary, options = "first", "prompting", "The first rows.", FirstOptions

    def shots(self, options: FirstOptions) -> int:
        return options.shots

    def select(self, options: FirstOptions, rows: Sequence[Example], seed: int) -> Selector:
        return lambda query: [row for row in rows if row.id != query.id][: options.shots]

    def files(self, options: FirstOptions) -> Mapping[str, str]:
        return {"file": options.file}

    def refusal(self, options: FirstOptions, rows: Sequence[Example]) -> Refusal | None:
        return Refusal("too many words") if len(options.words) > 2 else None


TECHNIQUE: PromptingTechnique = First()  # type: ignore[assignment]  # its family is no Literal here


def asked(folder: Path, context: int, on_long: OnLong, judged: list[Encoded]) -> Likelihoods:
    def judge(rows: Sequence[Encoded]) -> list[float]:
        judged.extend(rows)
        return [-float(len(row.prompt)) for row in rows]

    return Likelihoods(TECHNIQUE, FirstOptions(), ROWS, 0, Chat.load(folder), context, on_long, judge)


def test_each_query_has_its_own_number_and_what_is_too_long_has_none(tiny_folder: Path) -> None:
    chat = Chat.load(tiny_folder)
    lengths = [len(chat.prompt_ids(messages(row))) for row in ROWS]
    longest = lengths[3] + len(chat.answer_ids(ROWS[3].answer))  # the fifth and sixth are longer
    for on_long in ("error", "drop"):
        judged: list[Encoded] = []
        found = asked(tiny_folder, longest, on_long, judged)({}, [*ROWS[::-1], ROWS[0]])
        assert found == [-math.inf, -math.inf, *(-float(length) for length in lengths[3::-1]), -lengths[0]]
        assert [row.example for row in judged] == [*ROWS[3::-1], ROWS[0]]
        assert judged[0].answer == tuple(chat.answer_ids(ROWS[3].answer))
    cut = asked(tiny_folder, longest, "truncate", [])({}, ROWS)
    assert all(-longest < score < 0 for score in cut)
    assert asked(tiny_folder, 3, "error", [])({}, ROWS[:1]) == [-math.inf]
    assert asked(tiny_folder, 99, "error", [])({}, []) == []


def test_the_conversation_is_that_of_the_options_asked_about(tiny_folder: Path) -> None:
    judged: list[Encoded] = []
    asked(tiny_folder, 999, "error", judged)({"shots": 2}, ROWS[:1])
    chat = Chat.load(tiny_folder)
    assert judged[0].prompt == tuple(chat.prompt_ids(messages(ROWS[0], ROWS[1:3])))


def test_what_is_found_is_told_as_json_and_nothing_else() -> None:
    assert checked(TECHNIQUE, FirstOptions(), {}, ROWS) == {}
    assert checked(TECHNIQUE, FirstOptions(), {"words": ("c",), "shots": 5}, ROWS) == {"words": ["c"], "shots": 5}


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (3, "`fit` gives no mapping of options, but 3"),
        (None, "`fit` gives no mapping of options, but nothing"),
        ({"shot": 1}, "`fit` gives `shot`: Extra inputs are not permitted"),
        ({1: 1}, "`fit` gives `1"),
        ({"shots": 1.5}, "`fit` gives `shots`: Input should be a valid integer"),
        ({"words": ["a", 1]}, "`fit` gives `words.1`: Input should be a valid string"),
        ({"file": "other"}, "`fit` gives `file`, which names a file of the person's"),
        ({"words": ["a", "b", "c"]}, "`fit` gives options that it refuses itself: too many words"),
        ({"shots": 6}, "`fit` gives options for 6 shots of 6 training rows"),
    ],
)
def test_what_cannot_be_used_is_told(found: Any, problem: str) -> None:
    with pytest.raises(UnfitError) as raised:
        checked(TECHNIQUE, FirstOptions(), found, ROWS)
    assert str(raised.value).startswith(problem)
