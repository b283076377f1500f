"""The three splits as a run uses them: read, divided where validation is not given, cut to a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from customspec.inputs.rows import read_rows
from customspec.inputs.splitting import split_off
from customspec.prompts import Row, Template

VALIDATION_SHARE = 0.2
SPLITS = ("train", "validation", "test")

Files = Mapping[str, Sequence[tuple[str, Path]]]
"""For each given split its files: the name as written, and the path on this machine."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Rows by use. A split that the spec does not give is empty."""

    train: tuple[Row, ...] = ()
    validation: tuple[Row, ...] = ()
    test: tuple[Row, ...] = ()

    def named(self, name: str) -> tuple[Row, ...]:
        rows: tuple[Row, ...] = getattr(self, name)
        return rows


def read_splits(files: Files) -> Splits:
    """All rows of every given split. Raises RowError at the first row that cannot be read."""
    return Splits(**{name: tuple(read_rows(name, paths)) for name, paths in files.items()})


def divide(splits: Splits, rule: Mapping[str, Any]) -> Splits:
    """Validation split off the training rows where the rule says so, then evaluation cut to the rule's limit.

    `rule` is plain JSON, so that a step can carry it: `split_off` (bool), `seed`, `group` (column or null),
    `stratify` (an answer template or null), `limit` (rows of each evaluated split, or null).
    """
    train, validation = splits.train, splits.validation
    if rule["split_off"]:
        kept, taken = split_off(
            train,
            share=VALIDATION_SHARE,
            seed=rule["seed"],
            stratum=_rendered(rule["stratify"]),
            group=_column(rule["group"]),
        )
        train, validation = tuple(kept), tuple(taken)
    limit = rule["limit"]
    return Splits(train, validation[:limit], splits.test[:limit])


def _rendered(source: str | None) -> Any:
    if source is None:
        return None
    template = Template(source)
    return lambda row: template.render(row.fields).strip()


def _column(name: str | None) -> Any:
    return None if name is None else lambda row: str(row.fields[name])
