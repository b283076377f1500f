"""What a process may run short of beside the disk, and how its errors are known: memory, open files, threads."""

from __future__ import annotations

import errno
import resource
import sys
from typing import Final

MEMORY: Final = (
    "not enough memory; a smaller model, a technique that trains fewer weights, shorter rows or a machine with more "
    "memory would do"
)
THREADS: Final = (
    "the system starts no further thread or process; end others, or raise the limit (ulimit -u), and run again: "
    "finished steps are kept"
)


def shortage(error: BaseException) -> str | None:
    """What there was too little of, and what helps; None where the error has another cause."""
    if is_short_of_memory(error):
        return MEMORY
    causes = list(_chain(error))
    if any(isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE} for cause in causes):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f"too many files are open at once (a process may have {most} here); raise the limit (ulimit -n), and run "
            "again: finished steps are kept"
        )
    return THREADS if any(map(_is_of_threads, causes)) else None


def is_short_of_memory(error: BaseException) -> bool:
    """Looks at what torch says only where torch is loaded already."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from customspec.ml.memory import is_out_of_memory

    return is_out_of_memory(error)


def _is_of_threads(error: BaseException) -> bool:
    if isinstance(error, OSError):  # of `fork`; a file that would block is named, or is a descriptor of our own
        return error.errno == errno.EAGAIN and error.filename is None
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error, and those that it was raised from or in the course of."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
