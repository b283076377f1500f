"""Rows that stand in two splits: a score on rows seen before means nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from customspec.compiler.problems import Problems
from customspec.compiler.prompting import laid_over
from customspec.errors import Code
from customspec.inputs.splits import Splits
from customspec.inputs.splitting import overlap
from customspec.prompts import Row, TemplateError
from customspec.sandbox.templates import Known, Sandboxed
from customspec.spec import Prompt, PromptPatch, Spec

LOOSE = (("test", "validation"), ("validation", "train"))
NAMED = 3  # rows in one message


@dataclass(frozen=True, slots=True)
class Question:
    """The columns that a prompt asks with; none where its templates cannot be read. `turns`: one holds the turns of a
    conversation."""

    columns: tuple[str, ...]
    turns: bool


def prompts_of(prompt: Prompt, patches: Iterable[PromptPatch | None]) -> tuple[Prompt, ...]:
    """The spec's prompt with each candidate's own parts; those that are wrong are reported where they are read."""
    prompts: list[Prompt] = []
    for patch in patches:
        with suppress(ValidationError):
            prompts.append(prompt if patch is None else Prompt.model_validate(laid_over(prompt, patch)))
    return tuple(prompts)


def check_overlap(spec: Spec, prompts: Sequence[Prompt], rows: Splits, problems: Problems, known: Known) -> None:
    """No test row asks what a training row asks, but for exactly as many as `data.allow_overlap` says.

    Two rows ask the same when the columns that a prompt's `system` and `user` templates name are equal, or all turns of
    a conversation but the last answer, after NFKC, case folding and the collapse of white space, whatever their
    answers. `rows` are the splits as given.
    """
    questions = _questions(prompts, known)
    same, allowed = _shared(rows, "test", "train", questions), spec.data.allow_overlap
    if allowed is not None and not all(are_there(one.columns, rows.test, rows.train) for one in questions):
        return  # reported where the template is read
    if allowed is not None and len(same) != allowed:
        message = f"`allow_overlap` must be the exact number of test rows that are also in `train`: {len(same)}"
        hint = f"write `allow_overlap: {len(same)}`: {_named(same)}" if same else "remove it: no test row is in `train`"
        problems.add(Code.DATA_OVERLAP, ("data", "allow_overlap"), f"{message}; found {allowed}", hint=hint)
    elif allowed is None and same:
        message = f"{_counted(same, 'test')} also in `train`: {_named(same)}"
        hint = f"take them out of one of the two; or, if it must be so, write `allow_overlap: {len(same)}` under `data`"
        problems.add(Code.DATA_OVERLAP, ("data", "test"), message, hint=hint)


def overlap_notes(prompts: Sequence[Prompt], rows: Splits, known: Known) -> tuple[str, ...]:
    """Notes, not errors: validation rows that were trained on make the choice optimistic, test rows that were chosen by
    make the claim so."""
    questions = _questions(prompts, known)
    found = ((later, earlier, _shared(rows, later, earlier, questions)) for later, earlier in LOOSE)
    return tuple(
        f"{_counted(same, later)} also in `{earlier}`: {_named(same)}" for later, earlier, same in found if same
    )


def are_there(columns: Sequence[str], *splits: Sequence[Row]) -> bool:
    return bool(columns) and all(column in rows[0].fields for rows in splits if rows for column in columns)


def _counted(same: list[tuple[Row, Row]], later: str) -> str:
    return f"{len(same)} {later} " + ("row is" if len(same) == 1 else "rows are")


def _named(same: list[tuple[Row, Row]]) -> str:
    named = ", ".join(f"{row.place} is {other.place}" for row, other in same[:NAMED])
    return named + (f" and {len(same) - NAMED} more" if len(same) > NAMED else "")


def _questions(prompts: Iterable[Prompt], known: Known) -> Sequence[Question]:
    """What the prompts ask, each once: rows are compared by columns, however the text around them is."""
    return tuple(dict.fromkeys(question_of(one, known) for one in prompts))


def question_of(prompt: Prompt, known: Known) -> Question:
    return Question(_columns(prompt, known), prompt.messages is not None)


def _columns(prompt: Prompt, known: Known) -> tuple[str, ...]:
    if prompt.messages is not None:
        return (prompt.messages,)
    templates = [source for source in (prompt.system, prompt.user) if source is not None]
    if known.allowance.refused:
        return ()  # no more time is spent here on a spec that is refused where its prompts are read
    try:
        return tuple(sorted({name for source in templates for name in Sandboxed(source, known=known).variables}))
    except TemplateError:
        return ()  # reported where the prompt is read


def _shared(rows: Splits, later: str, earlier: str, questions: Iterable[Question]) -> list[tuple[Row, Row]]:
    """The rows of one split that ask, by any of the prompts, what a row of the other asks; with the first of those."""
    first, second = rows.named(later), rows.named(earlier)
    found: dict[int, int] = {}
    for question in questions:
        if are_there(question.columns, first, second):
            same = overlap(asked(first, question), asked(second, question))
            found = {**dict(same), **found}  # a column that is not there is reported where the template is read
    return [(first[one], second[found[one]]) for one in sorted(found)]


def asked(rows: Iterable[Row], question: Question) -> Iterable[str]:
    """A row's question as one text, with a mark between the columns that no text has."""
    for row in rows:
        values = [row.fields.get(column) for column in question.columns]
        yield " \0 ".join(map(_text, map(_unanswered, values) if question.turns else values))


def _unanswered(turns: object) -> object:
    """A conversation without the answer that it ends with."""
    if not (isinstance(turns, list | tuple) and turns and isinstance(turns[-1], Mapping)):
        return turns
    return turns[:-1] if turns[-1].get("role") == "assistant" else turns


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
