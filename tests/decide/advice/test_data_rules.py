"""What is found in rows: counted, named, and not found where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest

from customspec.decide.advice.advise import DataFinding, look_at_rows
from customspec.decide.advice.data_rules import DATA_RULES
from customspec.decide.advice.doubles import near
from customspec.hookspecs.advice import Facts
from customspec.prompts import Example

Rows = Sequence[tuple[str, str]]
WORDS = (
    *("river", "candle", "engine", "violin", "harbour", "pepper", "glacier"),
    *("lantern", "saddle", "thunder", "meadow", "copper", "orchard", "whistle"),
)
PAIRS = [f"{one} beside {other}" for one, other in combinations(WORDS, 2)][:90]
PLENTY = [(text, "ab"[i % 2]) for i, text in enumerate(PAIRS)]
TEST = [("what about the bridge", "a"), ("is it open", "b")]


def found(
    train: Rows = PLENTY,
    test: Rows = TEST,
    *,
    choices: tuple[str, ...] | None = ("a", "b"),
    metric: str = "accuracy",
    tokens: Sequence[int] = (),
) -> list[DataFinding]:
    splits = {"train": train, "test": test}
    examples = {
        name: tuple(Example(f"{name}:{i}", None, text, answer) for i, (text, answer) in enumerate(rows, 1))
        for name, rows in splits.items()
    }
    places = {one.id: one.id.replace(":", ".jsonl:") for rows in examples.values() for one in rows}
    lengths = {"train": tokens} if tokens else {}
    return list(look_at_rows(Facts(examples, lengths, places, choices, metric, 1, (), 10**9, 100, None)))


def test_good_rows_have_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("rule", "findings", "count", "message", "rows"),
    [
        (
            "conflicting",
            found([*PLENTY, (PLENTY[4][0].upper(), "b")]),
            1,
            "1 train row answers otherwise than an equal row before it",
            ("train.jsonl:91 and train.jsonl:5",),
        ),
        (
            "repeated",
            found([*PLENTY, PLENTY[0], PLENTY[1]]),
            2,
            "2 train rows ask what an earlier row asks",
            ("train.jsonl:91 and train.jsonl:1", "train.jsonl:92 and train.jsonl:2"),
        ),
        (
            "nearly_repeated",
            found(
                [
                    *PLENTY,
                    ("the order number 1 has not arrived at my new house", "a"),
                    ("the order number 2 has not arrived at my new house", "b"),
                ]
            ),
            1,
            "1 train row is nearly an earlier one",
            ("train.jsonl:92 and train.jsonl:91",),
        ),
        (
            "leaked",
            found(test=[*TEST, PLENTY[7]]),
            1,
            "1 test row asks exactly what a train row asks",
            ("test.jsonl:3 and train.jsonl:8",),
        ),
        (
            "nearly_leaked",
            found(
                [*PLENTY, ("please send the long invoice for march to me", "a")],
                [*TEST, ("please send the long invoice for march to me!", "a")],
            ),
            1,
            "1 test row asks nearly what a train row asks",
            ("test.jsonl:3 and train.jsonl:91",),
        ),
        (
            "rare",
            found([*PLENTY, ("one of a kind", "c")], [*TEST, ("strange one", "c")], choices=("a", "b", "c")),
            1,
            "1 of 3 choices have fewer than 8 training rows: `c` 1",
            (),
        ),
        (
            "uneven",
            found([(text, "a") for text, _ in PLENTY[:80]] + [(text, "b") for text, _ in PLENTY[80:]]),
            80,
            "80 of 90 training rows are `a`: to answer it always is right on that share, 0.89",
            (),
        ),
        ("untested", found(test=TEST[:1]), 1, "1 of 2 choices have no test row: `b`", ()),
        (
            "long",
            found(tokens=[10, 95, *[10] * 88]),
            1,
            "1 train row fills more than nine tenths of the context of 100 tokens",
            ("train.jsonl:2",),
        ),
    ],
)
def test_a_finding_is_counted_and_names_its_rows(
    rule: str, findings: list[DataFinding], count: int, message: str, rows: tuple[str, ...]
) -> None:
    (finding,) = (finding for finding in findings if finding.rule == rule)
    assert (finding.count, finding.sentence, finding.rows) == (count, message, rows)
    assert finding.advice
    assert finding.source


def test_every_data_rule_has_its_case() -> None:
    cases = test_a_finding_is_counted_and_names_its_rows.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {case[0] for case in cases} == {rule.name for rule in DATA_RULES}


def test_rows_that_are_repeated_with_another_answer_are_both() -> None:
    rules = {finding.rule for finding in found([*PLENTY, (PLENTY[4][0], "b")])}
    assert {"conflicting", "repeated"} <= rules


def test_an_uneven_split_does_not_matter_to_another_metric() -> None:
    rows = [(text, "a") for text, _ in PLENTY[:80]] + [(text, "b") for text, _ in PLENTY[80:]]
    assert "uneven" not in {finding.rule for finding in found(rows, metric="macro_f1")}


def test_generated_answers_have_no_classes() -> None:
    assert found(choices=None) == []


def test_near_leaves_equal_and_unlike_rows_alone() -> None:
    def rows(*texts: str) -> list[Example]:
        return [Example(str(i), None, text, "") for i, text in enumerate(texts)]

    assert near(rows("where is my parcel today", "Where is  my parcel today")) == []
    assert near(rows("where is my parcel today", "cancel the subscription")) == []
    assert near(rows("", " ")) == []
    assert near(
        rows(
            "where is the parcel with the red ribbon that I sent",
            "where is the parcel with the red ribbon that I sent?",
        )
    ) == [(1, 0)]
