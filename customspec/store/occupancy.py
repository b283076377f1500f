"""Kernel locks on one file: many may share it, or one has it alone. They end with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from customspec.inputs.writing import private_folder

EVERY: Final = 0.1  # seconds between attempts


@contextmanager
def shared(file: Path) -> Iterator[None]:
    """Hold the file together with others; waits for who has it alone."""
    with _opened(file) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(file: Path, patience: float) -> Iterator[bool]:
    """Hold the file alone; False where others still have it after so many seconds, and it is then not held."""
    with _opened(file) as descriptor:
        yield _taken(descriptor, time.monotonic() + patience)


def is_held(file: Path) -> bool:
    """Whether some process holds the file."""
    if not file.exists():
        return False
    with alone(file, 0) as free:
        return not free


@contextmanager
def abandoned(file: Path) -> Iterator[bool]:
    """Whether the file is there and no process holds it; if so, it is held alone meanwhile."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        # who held it may have removed it before it let go
        yield _taken(descriptor, until=0) and os.fstat(descriptor).st_nlink > 0
    finally:
        os.close(descriptor)


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    private_folder(file.parent)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(EVERY)
        else:
            return True
