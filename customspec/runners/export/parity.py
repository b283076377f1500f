"""Whether a merged model answers as the model with its adapter beside it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from customspec.hookspecs import Sampling
from customspec.inputs.encoding import Encoded
from customspec.inputs.tokens import Chat
from customspec.runners.answers import answer, generated_texts
from customspec.runners.work import Work

if TYPE_CHECKING:
    from torch import nn

# Nats a token that rounding may move: what the scorer allows between its two ways of computing one thing, which gave
# up to 12 eps on a 135M model. Merging in bfloat16 rounds every weight once more.
EPS = {"bfloat16": 2.0**-7, "float32": 2.0**-23}
ROUNDING = 24  # eps
LEAST = 1e-3  # nats


@dataclass(frozen=True, slots=True)
class Parity:
    """Rows that were answered twice. `ties`: answered otherwise, where the unmerged model saw no difference beyond
    rounding. `apart`: ids of the rows that differ beyond that."""

    split: str
    rows: int
    same: int
    ties: int
    apart: tuple[str, ...]
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__slots__}, "apart": list(self.apart)}


@dataclass(frozen=True, slots=True)
class Given:
    """What a model answered to each row: a choice with the log-probability of each, or a text."""

    answers: tuple[str, ...]
    scores: tuple[Mapping[str, float], ...] | None


def tolerance_of(compute_dtype: str) -> float:
    """Nats a token within which two answers are a tie."""
    return max(LEAST, ROUNDING * EPS[compute_dtype])


def ask(params: Mapping[str, Any], model: nn.Module, rows: Sequence[Encoded], chat: Chat, work: Work) -> Given:
    """Every row answered by the scorer or the generator that evaluated it; texts greedily, even where a technique
    samples: draws multiply every rounding."""
    from customspec.ml.precision import computing

    if params["generation"] is None:
        records = answer(params, model, rows, chat, work).records
        scores = tuple({key: math.log(max(p, 1e-300)) for key, p in r["probabilities"].items()} for r in records)
        return Given(tuple(record["prediction"] for record in records), scores)
    with computing(work.machine.device, work.machine.compute_dtype):
        texts, _ = generated_texts(params, model, rows, chat, work.silent, sampling=Sampling())
    return Given(tuple(text.text for (text,) in texts), None)


def compare(
    before: Given,
    after: Given,
    rows: Sequence[Encoded],
    chat: Chat,
    unmerged: Callable[[], nn.Module],
    *,
    split: str,
    tolerance: float,
) -> Parity:
    """`before` is the unmerged model's, which also says, where texts part, how near the two next tokens were."""
    model = cache(unmerged)
    ties, apart = 0, []
    for index, row in enumerate(rows):
        first, second = before.answers[index], after.answers[index]
        if first == second:
            continue
        if before.scores is not None:
            gap = before.scores[index][first] - before.scores[index][second]
            tokens = max(len(chat.answer_ids(first)), len(chat.answer_ids(second)))
        else:
            gap, tokens = _gap(row, first, second, chat, model()), 1
        if gap <= tolerance * tokens:
            ties += 1
        else:
            apart.append(row.example.id)
    return Parity(split, len(rows), len(rows) - ties - len(apart), ties, tuple(apart), tolerance)


def _gap(row: Encoded, first: str, second: str, chat: Chat, model: nn.Module) -> float:
    """Nats between the two texts at the token where they part, all before it being equal."""
    from customspec.ml.scoring import score_choices

    one, other = chat.answer_ids(first), chat.answer_ids(second)
    part = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if part >= min(len(one), len(other)):
        return math.inf
    (scores,) = score_choices(model, [row.prompt], [one[: part + 1], other[: part + 1]], pad=chat.pad_id)
    return abs(scores[0] - scores[1])
