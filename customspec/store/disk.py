"""Whether the disk is the cause of an error: found by trying it, since torch and safetensors report a full disk in
words of their own."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from customspec.errors import MachineError

PROBE: Final = 256 * 2**10  # bytes; what cannot be written on a full disk
_REASONS: Final = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file may not grow so large",
    errno.EIO: "the disk fails to read or write",
    errno.EROFS: "it is read-only",
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
}
_ADVICE: Final = "free some, or name another store with --store, and run again: finished steps are kept"


def trouble(error: BaseException, place: Path) -> MachineError | None:
    """The error to raise in place of one that writing under `place` raised, or None when the disk is not the cause."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            return _disk_error(_REASONS[cause.errno], _named(cause, place))
    if isinstance(error, MemoryError) or not isinstance(error, Exception):
        return None
    failed = _probe(place)
    return None if failed is None else _disk_error(_REASONS.get(failed.errno or 0, str(failed)), place)


@contextmanager
def writing_under(place: Path) -> Iterator[None]:
    """Raises MachineError, with `place` where the system names none, in place of an OSError for which a disk is to
    blame."""
    try:
        yield
    except OSError as error:
        raise trouble(error, place) or error from error


def _disk_error(what: str, path: Path) -> MachineError:
    there = _nearest(path)
    try:
        free = f"{shutil.disk_usage(there).free:,} bytes free".replace(",", " ")
    except OSError as error:
        free = f"free space unknown: {error.strerror}"
    return MachineError(f"{path}: {what} ({free}); {_ADVICE}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _named(error: OSError, place: Path) -> Path:
    name = error.filename2 or error.filename
    return Path(os.fsdecode(name)) if isinstance(name, str | bytes) else place


def _probe(place: Path) -> OSError | None:
    """The error of writing a little under the folder and syncing it; None where that works."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(place)) as file:
            file.write(b"\0" * PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path("/"))
