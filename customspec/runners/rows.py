"""Rows and other records as JSON and JSON lines in step folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from customspec.prompts import Row


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, UTF-8."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What `write_lines` wrote."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON object, indented, for people too."""
    path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def save_rows(path: Path, rows: Iterable[Row]) -> None:
    write_lines(path, ({"id": row.id, "fields": dict(row.fields)} for row in rows))


def load_rows(path: Path) -> tuple[Row, ...]:
    return tuple(Row(record["id"], record["fields"], record["id"]) for record in read_lines(path))
