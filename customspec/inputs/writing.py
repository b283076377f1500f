"""Replacing files atomically, and folders for this user alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes, *, sync: bool = True, mode: int = 0o600) -> None:
    """Replace a file atomically: a reader sees the old one or the new one; with `sync`, after a power cut too. A link
    is replaced, not followed."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def private_folder(folder: Path) -> Path:
    """The folder; it and missing parents are made for this user alone. Raises OSError."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
