"""Chain of thought and self-consistency: what is shown, what is read, how answers vote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from customspec.hookspecs import Converses, Decodes, Reads, ReadsColumns, Refuses, Sampling, Writes
from customspec.prompts import Example, Message
from customspec_prompting.chain_of_thought import ChainOfThought, ChainOfThoughtOptions
from customspec_prompting.reasoning import NEW_TOKENS, extracted
from customspec_prompting.self_consistency import SelfConsistency, SelfConsistencyOptions

CHAIN = ChainOfThought()
VOTE = SelfConsistency()
CHOICES = ("refund", "refund status", "late delivery")


def example(number: int, why: Any = "Two and two are four.", answer: str = "4") -> Example:
    return Example(f"train:{number}", None, f"question {number}", answer, fields={"why": why, "n": number})


ROWS = [example(n) for n in range(1, 13)]
QUERY = Example("test:1", "Be exact.", "2 + 2?", "4", fields={"n": 0})
SHOWN = ChainOfThoughtOptions(rationale="why", shots=2)
ASKED = ChainOfThoughtOptions()


def read(text: str, choices: tuple[str, ...] | None = None, **options: Any) -> str | None:
    return extracted(ChainOfThoughtOptions.model_validate(options).reads, text, choices)


@pytest.mark.parametrize("technique", [CHAIN, VOTE], ids=lambda technique: technique.name)
def test_both_have_every_optional_method_that_they_need(technique: object) -> None:
    for protocol in (Refuses, ReadsColumns, Writes, Converses, Decodes, Reads):
        assert isinstance(technique, protocol)


def test_a_demonstration_ends_its_reasoning_with_the_marker_and_the_answer() -> None:
    assert CHAIN.written(SHOWN, ROWS[0]) == "Two and two are four.\nThe answer is 4."
    german = ChainOfThoughtOptions(rationale="why", marker="Antwort:")
    assert CHAIN.written(german, ROWS[0]) == "Two and two are four.\nAntwort: 4."


def test_reasoning_keeps_its_lines_but_no_blank_ones() -> None:
    assert CHAIN.written(SHOWN, example(1, " one\n\n \ntwo\n")) == "one\ntwo\nThe answer is 4."


@pytest.mark.parametrize("why", ["", "  ", None, 7])
def test_a_row_without_reasoning_gives_the_answer_alone_and_is_never_shown(why: Any) -> None:
    assert CHAIN.written(SHOWN, example(1, why)) == "The answer is 4."
    rows = [example(1, why), *ROWS[1:3]]
    assert {shot.id for shot in CHAIN.select(SHOWN, rows, 0)(QUERY)} == {"train:2", "train:3"}


def test_with_a_rationale_column_the_query_stands_as_it_is() -> None:
    shots = CHAIN.select(SHOWN, ROWS, 0)(QUERY)
    assert (CHAIN.shots(SHOWN), len(shots)) == (2, 2)
    assert CHAIN.messages(SHOWN, QUERY, shots)[-1] == Message("user", "2 + 2?")
    assert CHAIN.columns(SHOWN) == {"rationale": "why"}


def test_without_one_the_query_ends_with_the_trigger_and_the_form_of_the_answer() -> None:
    assert CHAIN.shots(ASKED) == 0
    assert list(CHAIN.select(ASKED, ROWS, 0)(QUERY)) == []
    assert CHAIN.messages(ASKED, QUERY, ()) == (
        Message("system", "Be exact."),
        Message("user", '2 + 2?\n\nLet\'s think step by step. End with "The answer is" and the answer.'),
    )
    assert CHAIN.columns(ASKED) == {}


def test_only_without_reasoning_to_measure_is_there_a_default_length() -> None:
    assert CHAIN.decoding(SHOWN) == Sampling(samples=1, temperature=0.0, max_new_tokens=None)
    assert CHAIN.decoding(ASKED) == Sampling(max_new_tokens=NEW_TOKENS)
    several = SelfConsistencyOptions(samples=5, temperature=0.5, top_p=0.9)
    assert VOTE.decoding(several) == Sampling(5, 0.5, 0.9, NEW_TOKENS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2 + 2 = 4. The answer is 4.", "4"),
        ("The answer is 4", "4"),
        ("the ANSWER is: 4.", "4"),
        ("The answer is 3. No, wait: 2 + 2 = 4, so the answer is 4.\n", "4"),
        ("The answer is **4**.", "4"),
        ("The answer is `a b`.\nThanks for asking.", "a b"),
        ("The answer is\n\n4", "4"),
        ("The answer is U.S..", "U.S."),
        ("The answer is 3.5", "3.5"),
        ("The answer is", None),
        ("The answer is:", None),
        ("The answer is .", None),
        ("The answer is **", None),
        ("Four.", None),
        ("", None),
    ],
)
def test_the_answer_is_the_rest_of_the_line_after_the_last_marker(text: str, found: str | None) -> None:
    assert read(text) == found


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=":*`"), min_size=1).filter(str.strip))
def test_what_is_shown_is_read_back(answer: str) -> None:
    assert read(CHAIN.written(SHOWN, example(1, answer=answer))) == answer


def test_a_pattern_of_ones_own_counts_at_its_last_match() -> None:
    number = r"(-?\d[\d.,]*)"
    assert read("5 apples and 7 pears are 12 pieces", pattern=number) == "12"
    assert read("none", pattern=number) is None
    assert read("#### 18", pattern=r"####\s*(\S+)") == "18"
    assert read("a", pattern="(b)?a") is None, "a group that took no part is no answer"


def test_a_pattern_takes_time_linear_in_the_text() -> None:
    assert read("a" * 5000 + "!", pattern=r"^((?:a|aa)+)$") is None
    with pytest.raises(ValidationError, match="no regular expression of RE2"):
        ChainOfThoughtOptions(pattern=r"(?=a)(a)")


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "no regular expression"), ("a", "exactly one group"), ("(a)(b)", "it has 2")]
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChainOfThoughtOptions(pattern=pattern)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The answer is refund.", "refund"),
        ("The answer is Refund Status", "refund status"),
        ("The answer is a case of late delivery, surely.", "late delivery"),
        ("The answer is the refund status.", "refund status"),
        ("The answer is refund or late delivery.", None),
        ("The answer is refunding.", None),
        ("The answer is something else.", None),
    ],
)
def test_with_choices_the_answer_is_the_one_that_it_names(text: str, found: str | None) -> None:
    assert read(text, CHOICES) == found


def vote(*answers: str, choices: tuple[str, ...] | None = None) -> tuple[str, dict[str, int], bool, int]:
    texts = [f"So it is. The answer is {answer}." if answer else "I cannot say" for answer in answers]
    reading = VOTE.read(SelfConsistencyOptions(), texts, choices)
    return reading.prediction, dict(reading.votes), reading.tie, reading.unread


def test_the_majority_is_predicted() -> None:
    assert vote("3", "4", "4", "5", "4") == ("4", {"3": 1, "4": 3, "5": 1}, False, 0)


def test_a_tie_is_told_and_goes_to_the_answer_that_came_first() -> None:
    assert vote("3", "4", "4", "3", "5") == ("3", {"3": 2, "4": 2, "5": 1}, True, 0)
    assert vote("4", "3") == ("4", {"4": 1, "3": 1}, True, 0)


def test_chains_without_an_answer_do_not_vote() -> None:
    assert vote("", "4", "", "") == ("4", {"4": 1}, False, 3)
    assert vote("", "") == ("", {}, False, 2)


def test_votes_for_choices_are_for_the_choices_whatever_their_spelling() -> None:
    assert vote("REFUND", "refund", "Refund status", choices=CHOICES)[:2] == (
        "refund",
        {"refund": 2, "refund status": 1},
    )


def test_demonstrations_without_a_column_of_reasoning_are_refused() -> None:
    refusal = CHAIN.refusal(ChainOfThoughtOptions(shots=4), ROWS)
    assert refusal is not None
    assert (refusal.option, refusal.hint) == ("shots", "name the column: `rationale`")
    assert CHAIN.refusal(ASKED, ROWS) is None
    assert CHAIN.refusal(SHOWN, ROWS) is None


def test_too_few_rows_with_reasoning_are_refused() -> None:
    refusal = CHAIN.refusal(SHOWN, [ROWS[0], example(2, None), example(3, "")])
    assert refusal is not None
    assert (refusal.message, refusal.option) == ("1 training rows have a text in `why`; 2 are needed", "rationale")
