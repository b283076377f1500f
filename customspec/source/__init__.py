"""Text -> Document: the only reader of YAML."""

from __future__ import annotations

from customspec.source.document import Document, KeyPath, Mark
from customspec.source.reading import SPEC, Kind, parse, parse_scalar, read
from customspec.source.scalars import reads_as_text
from customspec.source.text import line_starts, split_lines

__all__ = [
    "SPEC",
    "Document",
    "KeyPath",
    "Kind",
    "Mark",
    "line_starts",
    "parse",
    "parse_scalar",
    "read",
    "reads_as_text",
    "split_lines",
]
