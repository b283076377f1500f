"""Rows that stand in two splits: a score on rows seen before means nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable

from customspec.compiler.findings import Findings
from customspec.errors import Code
from customspec.inputs.splits import Splits
from customspec.inputs.splitting import overlap
from customspec.prompts import Row, TemplateError
from customspec.sandbox.templates import Sandboxed
from customspec.spec import Prompt, Spec

PAIRS = (("test", "train"), ("test", "validation"), ("validation", "train"))
NAMED = 3  # rows in one message


def check_overlap(spec: Spec, rows: Splits, findings: Findings) -> None:
    """No row of a later split asks what a row of an earlier one asks, but for as many as `data.allow_overlap` says.

    Two rows ask the same when the columns that the spec's `system` and `user` templates name are equal, after NFKC,
    case folding and the collapse of white space, whatever their answers. `rows` are the splits as given.
    """
    columns = _columns(spec.prompt)
    found = {pair: _shared(rows, *pair, columns) for pair in PAIRS} if columns else {}
    total, allowed = sum(map(len, found.values())), spec.data.allow_overlap
    if allowed is not None and total != allowed:
        counts = ", ".join(f"{len(same)} of {later} in {earlier}" for (later, earlier), same in found.items() if same)
        message = f"`allow_overlap` must be the exact number of rows that stand in two splits: {total}; found {allowed}"
        findings.add(Code.DATA_OVERLAP, ("data", "allow_overlap"), message, hint=counts or None)
    elif allowed is None:
        for (later, earlier), same in found.items():
            if same:
                _refuse(later, earlier, same, total, findings)


def _refuse(later: str, earlier: str, same: list[tuple[Row, Row]], total: int, findings: Findings) -> None:
    named = [f"{row.place} is {other.place}" for row, other in same[:NAMED]]
    more = f" and {len(same) - NAMED} more" if len(same) > NAMED else ""
    are = "row is" if len(same) == 1 else "rows are"
    message = f"{len(same)} {later} {are} also in `{earlier}`: {', '.join(named)}{more}"
    hint = f"take them out of one of the two; or, if it must be so, write `allow_overlap: {total}` under `data`"
    findings.add(Code.DATA_OVERLAP, ("data", later), message, hint=hint)


def _columns(prompt: Prompt) -> list[str]:
    if prompt.messages is not None:
        return [prompt.messages]
    templates = [source for source in (prompt.system, prompt.user) if source is not None]
    try:
        return sorted(frozenset[str]().union(*(Sandboxed(source).variables for source in templates)))
    except TemplateError:
        return []  # reported where the prompt is read


def _shared(rows: Splits, later: str, earlier: str, columns: list[str]) -> list[tuple[Row, Row]]:
    first, second = rows.named(later), rows.named(earlier)
    if any(column not in part[0].fields for part in (first, second) if part for column in columns):
        return []  # reported where the template is read
    same = overlap(list(_asked(first, columns)), list(_asked(second, columns)))
    return [(first[one], second[other]) for one, other in same]


def _asked(rows: Iterable[Row], columns: list[str]) -> Iterable[str]:
    """A row's question as one text, with a mark between the columns that no text has."""
    for row in rows:
        yield " \0 ".join(_text(row.fields.get(column)) for column in columns)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
