"""A cache of templates filled and tokens counted by earlier commands: the same command again then needs neither the
process that fills templates nor a tokenizer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import customspec
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.sandbox.templates import Allowance

MOST: Final = 2 * 2**20  # characters of JSON that are kept
PLACES: Final = 256  # files at most; specs that share a place forget each other's
MAKERS: Final = (
    "sandbox",
    "templates.py",
    "prompts.py",
    "inputs/tokens.py",
    "compiler/costs.py",
    "compiler/counting.py",
    "inputs/encoding.py",
)
"""The modules that make the values: where one has changed, all values are made anew."""


class Remembered:
    """JSON values by what they were made of. A value that no command asked for is dropped by the next `save`."""

    def __init__(self, folder: Path | None = None, name: str = "") -> None:
        """The cache of one `name`, such as a spec's path, in the folder; without a folder nothing is known or kept."""
        place = int(hashlib.sha256(name.encode(errors="replace")).hexdigest(), 16) % PLACES
        self._file = None if folder is None else folder / f"{place:03}.json"
        self._makers = "" if folder is None else _makers()
        self._before = _read(self._file, self._makers)
        self._now: dict[str, Any] = {}
        self._room = 0 if folder is None else MOST
        self.allowance = Allowance()

    def __bool__(self) -> bool:
        """Whether anything is known from before."""
        return bool(self._before)

    def get(self, made_of: object) -> Any | None:
        """The value, or None. It may have been tampered with: the caller must check it as a person's file."""
        if not self._before and not self._now:
            return None
        key = _key(made_of)
        if key in self._before:
            self._keep(key, self._before[key])
        return self._now.get(key, self._before.get(key))

    def put(self, made_of: object, value: object) -> None:
        """Keep a value, while there is room."""
        if self._room > 0:
            self._keep(_key(made_of), value)

    def _keep(self, key: str, value: object) -> None:
        if key in self._now:
            return
        size = len(json.dumps(value)) + len(key) + 6  # quotes, a colon, a comma
        if size <= self._room:
            self._room -= size
            self._now[key] = value

    def save(self) -> None:
        """Write the values, where that is possible and they are more, or much fewer, than before."""
        grown = not self._now.keys() <= self._before.keys()
        if self._file is None:
            return
        with suppress(OSError, ValueError):  # what cannot be remembered is made again
            if grown or 2 * len(self._now) < len(self._before):
                write_checksummed(self._file, {"makers": self._makers, "values": self._now})
            elif self._now:
                os.utime(self._file)  # a cleaning goes by what was used


def _read(file: Path | None, makers: str) -> dict[str, Any]:
    try:
        kept = read_checksummed(file) if file is not None and file.stat().st_size <= 2 * MOST else None
        values = kept["values"] if kept is not None and kept["makers"] == makers else {}
        return values if isinstance(values, dict) else {}
    except (OSError, KeyError, TypeError):
        return {}


def _key(made_of: object) -> str:
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _makers() -> str:
    """One digest of all code that has a say in the values."""
    root = Path(customspec.__file__).parent
    named = [root / name for name in MAKERS]
    files = [file for path in named for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    versions = [sys.version, *(version(name) for name in ("jinja2", "tokenizers"))]
    whole = hashlib.sha256("\0".join(versions).encode())
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()
