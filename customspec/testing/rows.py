"""Rows to try a technique on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from customspec.prompts import Example

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


def examples(count: int, split: str = "train") -> tuple[Example, ...]:
    """Rendered rows: uneven lengths, repeated and empty texts, more than one script, three answers unevenly often."""
    return tuple(
        Example(id=f"{split}:{i}", system=None, user=WORDS[i % len(WORDS)], answer=ANSWERS[i * i % 4 % 3])
        for i in range(1, count + 1)
    )


def queries(rows: Sequence[Example]) -> tuple[Example, ...]:
    """What is asked: rows that are no training rows, and some that are."""
    return (*examples(3, split="test"), *rows[:4])


def demonstrations(
    technique: Any, options: Any, rows: Sequence[Example], queries: Sequence[Example], seed: int = SEED
) -> list[list[str]]:
    """The ids of the demonstrations of each query, in the order shown."""
    select = technique.select(options, rows, seed)
    return [[shot.id for shot in select(query)] for query in queries]


def scored(metric: Any, pairs: Sequence[Sequence[str]]) -> float:
    """The metric over pairs of prediction and reference."""
    value: float = metric.score([prediction for prediction, _ in pairs], [reference for _, reference in pairs])
    return value
