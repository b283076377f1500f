"""Rows that stand in two splits: a score on rows seen before means nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable

from customspec.compiler.problems import Problems
from customspec.errors import Code
from customspec.inputs.splits import Splits
from customspec.inputs.splitting import overlap
from customspec.prompts import Row, TemplateError
from customspec.sandbox.templates import Known, Sandboxed
from customspec.spec import Prompt, Spec

LOOSE = (("test", "validation"), ("validation", "train"))
NAMED = 3  # rows in one message


def check_overlap(spec: Spec, rows: Splits, problems: Problems, known: Known) -> None:
    """No test row asks what a training row asks, but for exactly as many as `data.allow_overlap` says.

    Two rows ask the same when the columns that the spec's `system` and `user` templates name are equal, after NFKC,
    case folding and the collapse of white space, whatever their answers. `rows` are the splits as given.
    """
    same, allowed = _shared(rows, "test", "train", _columns(spec.prompt, known)), spec.data.allow_overlap
    if allowed is not None and len(same) != allowed:
        message = f"`allow_overlap` must be the exact number of test rows that are also in `train`: {len(same)}"
        hint = _named(same) if same else None
        problems.add(Code.DATA_OVERLAP, ("data", "allow_overlap"), f"{message}; found {allowed}", hint=hint)
    elif allowed is None and same:
        message = f"{_counted(same, 'test')} also in `train`: {_named(same)}"
        hint = f"take them out of one of the two; or, if it must be so, write `allow_overlap: {len(same)}` under `data`"
        problems.add(Code.DATA_OVERLAP, ("data", "test"), message, hint=hint)


def overlap_notes(spec: Spec, rows: Splits, known: Known) -> tuple[str, ...]:
    """Notes, not errors: validation rows that were trained on make the choice optimistic, test rows that were chosen by
    make the claim so."""
    columns = _columns(spec.prompt, known)
    found = ((later, earlier, _shared(rows, later, earlier, columns)) for later, earlier in LOOSE)
    return tuple(
        f"{_counted(same, later)} also in `{earlier}`: {_named(same)}" for later, earlier, same in found if same
    )


def _counted(same: list[tuple[Row, Row]], later: str) -> str:
    return f"{len(same)} {later} " + ("row is" if len(same) == 1 else "rows are")


def _named(same: list[tuple[Row, Row]]) -> str:
    named = ", ".join(f"{row.place} is {other.place}" for row, other in same[:NAMED])
    return named + (f" and {len(same) - NAMED} more" if len(same) > NAMED else "")


def _columns(prompt: Prompt, known: Known) -> list[str]:
    if prompt.messages is not None:
        return [prompt.messages]
    templates = [source for source in (prompt.system, prompt.user) if source is not None]
    try:
        return sorted(frozenset[str]().union(*(Sandboxed(source, known=known).variables for source in templates)))
    except TemplateError:
        return []  # reported where the prompt is read


def _shared(rows: Splits, later: str, earlier: str, columns: list[str]) -> list[tuple[Row, Row]]:
    first, second = rows.named(later), rows.named(earlier)
    if not columns or any(column not in part[0].fields for part in (first, second) if part for column in columns):
        return []  # reported where the template is read
    same = overlap(_asked(first, columns), _asked(second, columns))
    return [(first[one], second[other]) for one, other in same]


def _asked(rows: Iterable[Row], columns: list[str]) -> Iterable[str]:
    """A row's question as one text, with a mark between the columns that no text has."""
    for row in rows:
        yield " \0 ".join(_text(row.fields.get(column)) for column in columns)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
