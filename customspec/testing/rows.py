"""Rows to try a plugin on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from customspec.hookspecs import Answer, NeedsLikelihood, ReadsColumns, Scorer, Writes
from customspec.inputs.encoding import Asking
from customspec.plan import digest
from customspec.prompts import Example, Message
from customspec.runners.fitting import UnfitError, checked, replaced
from customspec.testing.checks import RuleError

WORDS = ("amber", "teal", "", "red and blue", "violet", "ünïcödé 色", "teal", "orange\nwith a second line")
ANSWERS = ("warm", "cold", "neither")
SEED = 7
PAIRS = (
    ("warm", "warm"),
    ("cold", "warm"),
    ("Cold.", "cold"),
    ("neither", "neither"),
    ("neither of both", "neither"),
    ("warm", "cold"),
    ("3", "12.5"),
    ('{"colour": "red"}', '{"colour": "teal"}'),
)
"""Predictions with their references."""
OUTPUTS = (("",), ("  \n\n ", "?!"), ("Ünïcödé 色 \x00 ((*[",), ("warm",), ("cold", "warm", "", "warm", "cold"))
"""Texts that a model may generate for one row."""


def examples(count: int, split: str = "train", columns: Sequence[str] = ()) -> tuple[Example, ...]:
    """Rendered rows: uneven lengths, repeated and empty texts, more than one script, three answers unevenly often.

    `columns`: columns beyond the prompt's, each with a text of two paragraphs.
    """
    return tuple(_example(i, split, columns) for i in range(1, count + 1))


def _example(number: int, split: str, columns: Sequence[str]) -> Example:
    user, answer = WORDS[number % len(WORDS)], ANSWERS[number * number % 7 % 3]
    fields = {"text": user, "label": answer, **dict.fromkeys(columns, f"Look at {number}.\n\nThen decide.")}
    return Example(id=f"{split}:{number}", system=None, user=user, answer=answer, fields=fields)


def columns_of(technique: Any, options: Any) -> tuple[str, ...]:
    """The columns that a technique needs beyond the prompt's."""
    return tuple(technique.columns(options).values()) if isinstance(technique, ReadsColumns) else ()


def queries(rows: Sequence[Example]) -> tuple[Example, ...]:
    """What is asked: rows that are no training rows, and some that are."""
    return (*examples(3, split="test"), *rows[:4])


def in_conversation(query: Example) -> Example:
    """The same question as the last turn of a conversation."""
    before = (Message("user", "Shall we begin?"), Message("assistant", "Yes."))
    return replace(query, system="Name the colour's kind.", history=before)


def demonstrations(
    technique: Any, options: Any, rows: Sequence[Example], queries: Sequence[Example], seed: int = SEED
) -> list[list[str]]:
    """The ids of the demonstrations of each query, in the order shown."""
    select = technique.select(options, rows, seed)
    return [[shot.id for shot in select(query)] for query in queries]


def conversations(
    technique: Any, options: Any, rows: Sequence[Example], queries: Sequence[Example]
) -> list[list[list[str]]]:
    """What the model is shown for each query: role and content of every message."""
    asking = Asking.of(technique, options, rows, SEED)
    asked = [asking.conversation(query, asking.select(query)) for query in queries]
    return [[[message.role, message.content] for message in messages] for messages in asked]


def outputs_for(technique: Any, options: Any) -> tuple[tuple[str, ...], ...]:
    """Texts to read: any, and, where the technique says what should be written, some that vote."""
    if not isinstance(technique, Writes):
        return OUTPUTS
    return (*OUTPUTS, tuple(technique.written(options, row) for row in examples(4)))


def readings(technique: Any, options: Any) -> list[str]:
    """What the technique reads out of each, with choices."""
    return [technique.read(options, outputs, ANSWERS).prediction for outputs in outputs_for(technique, options)]


def fitted(technique: Any, options: Any, rows: Sequence[Example], scorer: Scorer) -> Mapping[str, Any]:
    """What the technique's `fit` finds, as plain JSON. Raises RuleError where that cannot be used."""
    try:
        return checked(technique, options, technique.fit(options, rows, scorer, SEED), rows)
    except UnfitError as wrong:
        raise RuleError(str(wrong)) from wrong


def guesses(technique: Any, options: Any, rows: Sequence[Example]) -> Scorer:
    """A scorer without a model: numbers drawn by the texts, the same in every process."""

    def scorer(values: Mapping[str, Any], queries: Sequence[Example], /) -> list[float]:
        asking = Asking.of(technique, replaced(options, values, "the scorer is asked about"), rows, SEED)
        asked = (asking.conversation(query, asking.select(query)) for query in queries)
        texts = [[[turn.role, turn.content] for turn in conversation] for conversation in asked]
        written = map(asking.write, queries)
        return [-int(digest([*both])[-8:], 16) / 2**28 for both in zip(texts, written, strict=True)]

    return scorer


def answers_of(metric: Any, pairs: Sequence[Sequence[str]]) -> list[Answer]:
    """Pairs of prediction and reference as a run would give them to the metric."""
    likely = isinstance(metric, NeedsLikelihood) and metric.needs_likelihood
    return [
        # a token for each character, and one for the end
        Answer(prediction, reference, -1 - len(prediction) / 4 - len(reference) / 3, len(reference) + 1)
        if likely
        else Answer(prediction, reference)
        for prediction, reference in pairs
    ]


def scored(metric: Any, options: Any, pairs: Sequence[Sequence[str]]) -> float:
    """The metric over pairs of prediction and reference."""
    value: float = metric.score(options, answers_of(metric, pairs))
    return value
