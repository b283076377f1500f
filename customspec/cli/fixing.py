"""`customspec validate --fix`: certain repairs written into the spec's file, with the difference shown."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from customspec.compiler.repair import repaired
from customspec.errors import Problem, RefusedError
from customspec.report.logs import tell
from customspec.report.text import escape

BOM = b"\xef\xbb\xbf"


def fix(spec: Path, problems_of: Callable[[str], Sequence[Problem]]) -> bool:
    """Make the repairs that are certain, and show them on stderr. Returns whether there were any.

    Raises RefusedError when the file changes meanwhile, OSError when it cannot be written.
    """
    before = spec.read_bytes()
    try:
        text = before.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return False  # the reader says what is wrong with it
    better = repaired(text, str(spec), problems_of)
    if better == text:
        return False
    replace(spec, before, before[: len(before) - len(before.removeprefix(BOM))] + better.encode())
    tell(_difference(str(spec), text, better))
    return True


def replace(file: Path, before: bytes, after: bytes) -> None:
    """The file's bytes replaced at once, mode kept, links followed. Raises RefusedError unless it holds `before`."""
    target = file.resolve()
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(after)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copymode(target, temporary)
        if target.read_bytes() != before:
            raise RefusedError(f"{file} changed while it was checked; nothing was written")
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _difference(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=1, lineterm="")
    return "\n".join(escape(line) for line in lines)
