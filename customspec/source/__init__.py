"""Text -> Document: the only reader of YAML."""

from __future__ import annotations

from customspec.source.document import Document, KeyPath, Mark
from customspec.source.reading import parse, parse_scalar, read
from customspec.source.text import split_lines

__all__ = ["Document", "KeyPath", "Mark", "parse", "parse_scalar", "read", "split_lines"]
