"""Whether the disk is the cause of an error: found by trying it, since torch and safetensors report a full disk in
words of their own."""

from __future__ import annotations

import errno
import os
import re
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
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
}
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OF_RUST: Final = re.compile(r"\(os error (\d+)\)")  # safetensors and tokenizers raise plain exceptions
_WRITING: Final = frozenset({*_FULL, errno.EIO, errno.EROFS})
_REMEDY: Final = "name another store with --store, and run again: finished steps are kept"


def trouble(error: BaseException, place: Path, remedy: str | None = _REMEDY) -> MachineError | None:
    """What to tell of an exception that writing under `place` raised, or None when the disk is not the cause. `remedy`
    is what helps where the file lies there, beside more space."""
    for cause in _chain(error):
        if (number := _number(cause)) is not None:
            return _disk_error(_REASONS[number], number, _named(cause, place), place, remedy)
    if isinstance(error, MemoryError) or not isinstance(error, Exception):
        return None
    failed = _probe(place)
    if failed is None:
        return None
    number = failed.errno or 0
    return _disk_error(_REASONS.get(number, str(failed)), number, place, place, remedy)


@contextmanager
def writing_under(place: Path, remedy: str = _REMEDY) -> Iterator[None]:
    """Raises MachineError, with `place` where the system names none, in place of an OSError for which a disk is to
    blame."""
    try:
        yield
    except OSError as error:
        raise trouble(error, place, remedy) or error from error


def _disk_error(what: str, number: int, path: Path, place: Path, remedy: str | None) -> MachineError:
    try:
        free = f"{shutil.disk_usage(_nearest(path)).free:,} bytes free".replace(",", " ")
    except OSError as error:
        free = f"free space unknown: {error.strerror}"
    if remedy is not None and path.absolute().is_relative_to(place.absolute()):
        advice = f"free some, or {remedy}" if number in _FULL else remedy
    else:
        advice = f"{'free some' if number in _FULL else 'see to it'}, and run again: finished steps are kept"
    return MachineError(f"{path}: {what} ({free}); {advice}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    """The number of an error for which a disk may be to blame; a library of Rust's tells it in words alone."""
    if isinstance(error, OSError):
        ours = error.errno == errno.EFBIG and error.strerror != os.strerror(errno.EFBIG)  # of reading, see `regular`
        return error.errno if error.errno in _REASONS and not ours else None
    found = _OF_RUST.search(str(error))
    return int(found[1]) if found and int(found[1]) in _WRITING else None


def _named(error: BaseException, place: Path) -> Path:
    name = (error.filename2 or error.filename) if isinstance(error, OSError) else None
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
