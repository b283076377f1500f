"""A spec's document, as the command line names it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from customspec.errors import UsageError

if TYPE_CHECKING:
    from customspec.source import Document, KeyPath


def read_document(path: Path, sets: Sequence[str] = ()) -> Document:
    """The spec's document with every `--set` laid over it. Raises SpecError, UsageError."""
    from customspec.source import parse_scalar, read

    document = read(path)
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set needs KEY=VALUE, found {text}")
        document = document.with_value(_key_path(key), parse_scalar(value), origin=f"--set {text}")
    return document


def _key_path(key: str) -> KeyPath:
    return tuple(int(part) if part.isdecimal() and len(part) < 10 else part for part in key.split("."))
