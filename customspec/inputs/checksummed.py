"""Small JSON files of our own that carry their digest: what has changed, or is cut off, reads as absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from customspec.inputs.regular import read_regular
from customspec.inputs.writing import private_folder, replace_file
from customspec.plan import canonical, digest


def with_checksum(value: object) -> bytes:
    """A JSON value together with its digest, as text. Raises TypeError or ValueError for what is not plain JSON."""
    return canonical({"digest": digest(value), "value": value})


def checked_value(content: bytes) -> Any | None:
    """The value that `with_checksum` was given, or None when a byte of it has changed or is missing."""
    return json.loads(content)["value"] if _is_whole(content) else None


def is_whole(path: Path) -> bool:
    """Whether a file is as `write_checksummed` wrote it. Raises OSError."""
    return _is_whole(read_regular(path))


def _is_whole(content: bytes) -> bool:
    try:
        document = json.loads(content)
        return bool(document["digest"] == digest(document["value"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def write_checksummed(path: Path, value: object) -> None:
    """Replace a file by a value with its digest, at once: a reader sees the old one or the new one. Raises OSError."""
    content = with_checksum(value)
    private_folder(path.parent)
    replace_file(path, content, sync=False)


def read_checksummed(path: Path) -> Any | None:
    """The value in a file, or None when there is no regular file or it is not as it was written."""
    try:
        return checked_value(read_regular(path))
    except OSError:
        return None
