"""A process that answers line by line, and ends with the object that stands for it."""

from __future__ import annotations

import os
import subprocess
import weakref
from typing import IO, Any, Final, Generic, TypeVar

Line = TypeVar("Line", str, bytes)

PATIENCE: Final = 5.0  # seconds for a process that is about to end


class Child(Generic[Line]):
    """A process that was started with pipes. One that was forked off its owner does not use it, and leaves it be."""

    def __init__(self, process: subprocess.Popen[Line]) -> None:
        self.process: subprocess.Popen[Line] = process
        self._owner = os.getpid()
        self._end: weakref.finalize[Any, Any] = weakref.finalize(self, _end, process)

    @property
    def answers(self) -> bool:
        """Whether it is this process's own, and runs."""
        return self._owner == os.getpid() and self.process.poll() is None

    @property
    def replies(self) -> IO[Line]:
        """Where its replies come from."""
        replies: IO[Line] | None = self.process.stdout
        assert replies is not None
        return replies

    def send(self, line: Line) -> None:
        """Raises OSError where nobody reads any more."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def end(self) -> None:
        """End it, and wait for it."""
        if self._owner == os.getpid():
            self._end()


def exit_code(process: subprocess.Popen[Any]) -> int:
    """Of a process that is about to end; if it does not, it is killed."""
    try:
        return process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _end(process: subprocess.Popen[Any]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what was not written yet has no reader any more
                continue
    exit_code(process)  # the end of its input ends it
