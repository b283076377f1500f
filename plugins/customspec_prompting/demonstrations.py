"""Choosing demonstrations from the training rows, under a seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from importlib.util import find_spec
from itertools import zip_longest
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from customspec.hookspecs import Refusal, Rule, Selector
from customspec.prompts import Example
from customspec.spec import PromptingOptions, Text, UnfitError

T = TypeVar("T")

RULES = (
    Rule(
        "demonstrations_want_size",
        "the base has fewer than 1.3 billion parameters",
        lambda facts, rung: facts.smaller_than(1.3),
        "mind",
        "what demonstrations add grows with the model, and is little at {facts.parameters:,} parameters",
        "Brown et al. 2020, Language Models are Few-Shot Learners",
    ),
    Rule(
        "demonstrations_bias",
        "choices are scored, and `calibrate` is `none`",
        lambda facts, rung: facts.choices is not None and rung.options.get("calibrate") == "none",
        "mind",
        "demonstrations pull answers to their own labels, the last one's most: `calibrate: contextual` is worth a "
        "candidate",
        "Zhao et al. 2021, Calibrate Before Use",
    ),
)


class DemonstrationOptions(PromptingOptions):
    """How many demonstrations, and which."""

    shots: int = Field(8, ge=1, le=1000)
    """Demonstrations before the query."""
    select: Literal["random", "balanced", "similar", "diverse", "fixed"] = "balanced"
    """`random`: any training rows, as drawn. `balanced`: the answers take turns, so that each is shown equally often.
    `similar`: those nearest to the query, the nearest last, next to it. `diverse`: one from each of as many clusters,
    the largest cluster first. `fixed`: the `rows` named, in their order. Only with `similar` do queries differ in what
    they are shown."""
    rows: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)] | None = None
    """For `fixed`: numbers of training rows, counted from 1 through all training files."""
    embeddings: Text | None = None
    """For `similar` and `diverse`: folder of a model2vec model, relative to the spec. Absent: words count, by BM25 and
    by TF-IDF."""

    @model_validator(mode="after")
    def _belongs(self) -> DemonstrationOptions:
        if (self.rows is None) == (self.select == "fixed"):
            hint = "add `rows: [1, 2]`, numbers of training rows" if self.rows is None else "add `select: fixed`"
            raise UnfitError("`rows` and `select: fixed` belong together", hint)
        if self.rows is not None and len(set(self.rows)) < len(self.rows):
            distinct = ", ".join(map(str, dict.fromkeys(self.rows)))
            raise UnfitError("`rows` must be distinct: no row is shown twice", f"write [{distinct}]")
        if self.embeddings is not None and self.select not in {"similar", "diverse"}:
            message = "`embeddings` belongs to `select: similar` and `select: diverse`"
            raise UnfitError(message, f"write one of these for `select: {self.select}`, or remove `embeddings`")
        return self

    @property
    def count(self) -> int:
        """How many rows are shown."""
        return len(self.rows) if self.rows else self.shots


def selector(options: DemonstrationOptions, rows: Sequence[Example], seed: int) -> Selector:
    """Which of `rows` a query is shown; deterministic under the seed, and never the query itself."""
    count = options.count
    shuffled = random.Random(seed).sample(rows, len(rows))  # among equals the seed decides, not the file's order
    if options.select == "similar":
        return _nearest(shuffled, count, options.embeddings)
    if options.select == "fixed":
        drawn = _numbered(rows, options.rows or ())
    elif options.select == "diverse":
        drawn = _covering(shuffled, count, seed, options.embeddings)
    else:
        drawn = balanced(shuffled) if options.select == "balanced" else shuffled
    return spared(drawn, count)


def spared(drawn: Sequence[Example], count: int) -> Selector:
    """A selector that shows every query the first `count` rows; a query that is among them is shown the next row
    instead of itself."""
    kept = drawn[: count + 1]
    return lambda query: [shot for shot in kept if shot.id != query.id][:count]


def balanced(rows: Sequence[Example]) -> list[Example]:
    """The rows, the answers taking turns."""
    by_answer: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        by_answer[row.answer].append(row)
    return _in_turns(by_answer.values())


def refusal(options: DemonstrationOptions, rows: Sequence[Example]) -> Refusal | None:
    """The refusal of an option without effect, a row that is not there, a library that is not installed, or a folder
    without a model."""
    if options.select == "fixed" and "shots" in options.model_fields_set:
        return Refusal("`select: fixed` shows exactly the `rows`", option="shots", hint="leave `shots` out")
    there = {_number(row) for row in rows} if options.rows else set()
    for place, number in enumerate(options.rows or ()):
        if number not in there:
            hint = _numbers_there(there)
            return Refusal(f"there is no training row {number}", option="rows", item=place, hint=hint)
    wanted = "model2vec" if options.embeddings else "bm25s" if options.select == "similar" else None
    if wanted is not None and find_spec(wanted) is None:
        return Refusal(f"`select: {options.select}` needs {wanted}", option="select", extra="retrieval")
    return None if options.embeddings is None else _unreadable(options.embeddings)


def _numbers_there(there: Set[int]) -> str:
    """How many training rows there are, and their numbers."""
    last = max(there, default=0)
    numbered = f"{len(there)} training rows are there, with numbers from {min(there, default=0)} to {last}"
    gone = "; without `data.validation` some are split off for it, and their numbers are missing"
    return numbered + (gone if last - min(there, default=0) >= len(there) else "")


def _unreadable(folder: str) -> Refusal | None:
    from customspec_prompting.similarity import embedding

    try:
        embedding(folder)
    except Exception as error:  # whatever the library makes of a folder that is none of its own
        message = f"no model2vec model in {folder}: {type(error).__name__}: {error}"
        hint = "name a folder that model2vec has saved, or remove it: words are then counted"
        return Refusal(message, option="embeddings", hint=hint)
    return None


def _nearest(rows: Sequence[Example], count: int, embeddings: str | None) -> Selector:
    from customspec_prompting.similarity import bm25, cosine, ranked

    texts = [row.user for row in rows]
    score = bm25(texts) if embeddings is None else cosine(texts, embeddings)

    def select(query: Example) -> list[Example]:
        nearest = (rows[place] for place in ranked(score(query.user))[: count + 1])
        return [row for row in nearest if row.id != query.id][:count][::-1]

    return select


def _covering(rows: Sequence[Example], count: int, seed: int, embeddings: str | None) -> list[Example]:
    from customspec_prompting.similarity import clusters

    found = clusters([row.user for row in rows], count, seed, embeddings)
    return [rows[place] for place in _in_turns(found)]


def _numbered(rows: Sequence[Example], numbers: Sequence[int]) -> list[Example]:
    by_number = {_number(row): row for row in rows}
    return [by_number[number] for number in numbers]


def _number(row: Example) -> int:
    return int(row.id.rpartition(":")[2])


def _in_turns(groups: Iterable[Sequence[T]]) -> list[T]:
    return [item for turn in zip_longest(*groups, fillvalue=None) for item in turn if item is not None]
