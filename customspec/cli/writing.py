"""A file that the person named on the command line, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from customspec.inputs.writing import replace_file
from customspec.store import writing_under


def write_out(out: Path, text: str) -> None:
    """Replace the file at once; a pipe, a device, or what a link leads to is written into. Raises MachineError where a
    disk is to blame, and OSError."""
    with writing_under(out, "name another file with --out"):
        if _is_replaceable(out):
            replace_file(out, text.encode(), mode=_mode(out))
        else:
            out.write_text(text, encoding="utf-8")


def _is_replaceable(out: Path) -> bool:
    plain = not out.is_symlink() and (out.is_file() or not out.exists())
    return plain and out.parent.is_dir() and os.access(out.parent, os.W_OK)


def _mode(out: Path) -> int:
    """The mode of the file that is there, or what a new one gets."""
    if out.exists():
        return out.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
