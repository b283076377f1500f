"""The three splits as a run uses them: read, and divided where validation is not given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from customspec.inputs.packed import pack_rows
from customspec.inputs.rows import read_rows
from customspec.inputs.splitting import nested, split_off
from customspec.prompts import Row
from customspec.sandbox.templates import Known, Sandboxed

VALIDATION_SHARE = 0.2
SPLITS = ("train", "validation", "test")

Files = Mapping[str, Sequence[tuple[str, Path]]]
"""For each given split its files: the name as written, and the path on this machine."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Rows by use. A split that the spec does not give is empty."""

    train: Sequence[Row] = ()
    validation: Sequence[Row] = ()
    test: Sequence[Row] = ()

    def named(self, name: str) -> Sequence[Row]:
        rows: Sequence[Row] = getattr(self, name)
        return rows


def read_splits(files: Files) -> Splits:
    """All rows of every given split. Raises RowError at the first row that cannot be read."""
    return Splits(**{name: pack_rows(read_rows(name, paths)) for name, paths in files.items()})


def divide(splits: Splits, rule: Mapping[str, Any], known: Known | None = None) -> Splits:
    """Validation split off the training rows where the rule says so.

    `rule` is plain JSON, so that a step can carry it: `split_off` (bool), `seed`, `group` (column or null),
    `stratify` (an answer template or null). With `share`, what is left to train on is cut down; see `shared_out`.
    """
    whole = _with_validation(splits, rule, known)
    return replace(whole, train=shared_out(whole.train, rule["share"])) if "share" in rule else whole


def shared_out(rows: Sequence[Row], share: Mapping[str, Any]) -> Sequence[Row]:
    """A share of the rows, of which every smaller share is a part: `of` (up to 1), `seed`, `group` and `stratify`."""
    group = None if share["group"] is None else lambda row: group_of(row, share["group"])
    return pack_rows(nested(rows, share["of"], share["seed"], _rendered(share["stratify"], rows), group))


def _with_validation(splits: Splits, rule: Mapping[str, Any], known: Known | None) -> Splits:
    if not rule["split_off"]:
        return splits
    kept, taken = split_off(
        splits.train,
        share=VALIDATION_SHARE,
        seed=rule["seed"],
        stratum=_rendered(rule["stratify"], splits.train, known),
        group=None if rule["group"] is None else lambda row: group_of(row, rule["group"]),
    )
    return Splits(pack_rows(kept), pack_rows(taken), splits.test)


def group_of(row: Row, column: str) -> str:
    """Which group a row belongs to; a row without a value is a group of its own."""
    value = row.fields[column]
    return f"row {row.id}" if value is None else f"{type(value).__name__} {value}"


def groups_of(rows: Iterable[Row], column: str) -> dict[str, str]:
    """Each row's group by the row's id."""
    return {row.id: group_of(row, column) for row in rows}


def _rendered(source: str | None, rows: Sequence[Row], known: Known | None = None) -> Any:
    if source is None:
        return None
    texts = Sandboxed(source, known=known).render_all([row.fields for row in rows])
    strata = {row.id: text.strip() for row, text in zip(rows, texts, strict=True)}
    return lambda row: strata[row.id]
