"""Reading and removing files of others: a pipe, a device or an endless file must not stop a command."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

MOST: Final = 256 * 2**20  # bytes
HOLLOW: Final = 2**30  # bytes; a smaller file is read in a second, whatever is in it
EXTENTS: Final = 10_000  # are looked at, at most


def read_regular(path: Path, most: int = MOST, *, follow: bool = False) -> bytes:
    """The bytes of a regular file, of `most` bytes at most; a link only with `follow`.

    Raises OSError: EINVAL or EISDIR for what is no regular file, EFBIG for what is too large, ELOOP for a link.
    """
    # without O_NONBLOCK a pipe that nobody writes into is waited for already here
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        status = os.fstat(file.fileno())
        if not S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        content = b"" if status.st_size > most else file.read(most + 1)
        if status.st_size > most or len(content) > most:
            raise OSError(errno.EFBIG, f"is larger than {most} bytes", str(path))
    return content


def is_hollow(path: Path) -> bool:
    """Whether a large file is holes for the most part: a few blocks on the disk, which would be read for hours. A file
    system that tells of no holes has none. Raises OSError."""
    if path.stat().st_size < HOLLOW or not hasattr(os, "SEEK_DATA"):
        return False
    with path.open("rb") as file:
        return sum(_data_sizes(file.fileno())) * 8 < path.stat().st_size


def _data_sizes(descriptor: int) -> Iterator[int]:
    """The bytes of each part of a file that is no hole; the rest of the file after so many."""
    end = 0
    for _ in range(EXTENTS):
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield end - start
    yield os.fstat(descriptor).st_size - end


def clear_away(path: Path) -> None:
    """Remove whatever has the name, as far as that can be done: a folder with all in it, else the one name. Removing a
    pipe as a folder would wait for it for ever."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
