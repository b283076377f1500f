"""Data sets from the hub: fetched once by `run`, kept as JSON lines, and read from there ever after."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.digests import has_digest, sha256_file
from customspec.inputs.rows import read_hub
from customspec.spec import Split


def cached_rows(split: Split, cache: Path) -> Path | None:
    """The kept rows of a hub split, or None when it was never fetched, or is no longer as it was."""
    path = _place(split, cache)
    expected = read_checksummed(path.with_suffix(".json"))
    return path if expected is not None and path.is_file() and has_digest(path, expected) else None


def fetch_rows(split: Split, cache: Path) -> Path:
    """Fetch a hub split and keep it. Raises RowError with the hub's reason."""
    assert split.hub is not None
    place = _place(split, cache)
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for row in read_hub("hub", split.hub, split.revision, split.subset, split.split):
                file.write(json.dumps(dict(row.fields), ensure_ascii=False) + "\n")
        write_checksummed(place.with_suffix(".json"), sha256_file(Path(temporary)))
        Path(temporary).replace(place)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return place


def _place(split: Split, cache: Path) -> Path:
    named = json.dumps([split.hub, split.revision, split.subset, split.split])
    return cache / "hub" / f"{hashlib.sha256(named.encode()).hexdigest()}.jsonl"
