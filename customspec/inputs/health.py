"""The data's health: how many rows, how long they are, how evenly their answers are spread, and which stand twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import quantiles
from typing import Any

from customspec.inputs.splitting import normal, overlap
from customspec.prompts import Example

Examples = Mapping[str, Sequence[Example]]
"""Each split's rows."""


def health_of(splits: Examples, *, classes: bool) -> dict[str, Any]:
    """Plain JSON: `splits`, each with its counts and lengths, and `overlaps` of every two of them.

    Two rows ask the same when the texts of their system message, earlier turns and question are equal, after NFKC, case
    folding and the collapse of white space. `classes`: whether the answers are one of a few, and worth counting.
    """
    there = {name: examples for name, examples in splits.items() if examples}
    return {
        "splits": {name: _split(examples, classes=classes) for name, examples in there.items()},
        "overlaps": [
            {"first": one, "second": other, "rows": len(overlap(_texts(there[other]), _texts(there[one])))}
            for one, other in combinations(there, 2)
        ],
    }


def _split(examples: Sequence[Example], *, classes: bool) -> dict[str, Any]:
    answers: dict[str, list[str]] = defaultdict(list)
    for example, text in zip(examples, _texts(examples), strict=True):
        answers[normal(text)].append(example.answer)
    conflicting = [given for given in answers.values() if len(set(given)) > 1]
    return {
        "rows": len(examples),
        "duplicates": len(examples) - len(answers),
        "conflicting": sum(map(len, conflicting)),
        "question_characters": _lengths([len(example.user) for example in examples]),
        "answer_characters": _lengths([len(example.answer) for example in examples]),
        "classes": dict(Counter(example.answer for example in examples).most_common()) if classes else None,
    }


def _texts(examples: Sequence[Example]) -> list[str]:
    """All that each row asks, with a mark between the parts that no text has."""
    return [
        " \0 ".join([example.system or "", *(turn.content for turn in example.history), example.user])
        for example in examples
    ]


def _lengths(lengths: Sequence[int]) -> dict[str, float]:
    cuts = quantiles(lengths, n=20, method="inclusive") if len(lengths) > 1 else [float(lengths[0])] * 19
    return {"min": min(lengths), "median": cuts[9], "p95": cuts[18], "max": max(lengths)}
