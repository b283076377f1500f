"""Native calls with a time limit: a stranger's tokenizer may be made to take for ever on a text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

FLOOR: Final = 10.0  # seconds of computing, for all texts together
PER_SECOND: Final = 100_000  # characters that take a second more; the slowest tokenizers manage ten times as many
SHORT: Final = 64  # characters; the library's own limit ends these soon enough, and a thread takes longer than they do
LOOK: Final = 0.25  # seconds between two looks at the clocks


class TooSlowError(Exception):
    """A tokenizer computes longer than its texts are worth."""


class Patience:
    """How long one tokenizer may compute, over all its calls."""

    def __init__(self) -> None:
        self._given = 0
        self._spent = 0.0

    def within(self, call: Callable[[], T], characters: int) -> T:
        """What the call gives. Raises TooSlowError when the time is up.

        The call must let other threads run meanwhile. Nothing can end native code: it goes on in a thread that the end
        of the process ends.
        """
        self._given += characters
        allowed = FLOOR + self._given / PER_SECOND - self._spent
        watch = _Watch()
        try:
            if allowed <= 0:
                raise TooSlowError
            return call() if characters <= SHORT else _until(watch, allowed, call)
        finally:
            self._spent += watch.seconds


class _Watch:
    """Seconds of computing since it was made, at most: by the clock of this process's computing, of which a machine
    that is busy with others takes none, and by the one on the wall, which goes no faster when another tokenizer that
    was given up computes on beside this one."""

    def __init__(self) -> None:
        self._computed, self._passed = time.process_time(), time.monotonic()

    @property
    def seconds(self) -> float:
        return min(time.process_time() - self._computed, time.monotonic() - self._passed)


def _until(watch: _Watch, allowed: float, call: Callable[[], T]) -> T:
    found: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            found.append(call())
        except BaseException as error:  # a panic of the library is no Exception; it is raised below
            failed.append(error)
        done.set()

    threading.Thread(target=work, daemon=True).start()
    while not done.wait(LOOK):
        if watch.seconds > allowed:
            raise TooSlowError
    if failed:
        raise failed[0]
    return found[0]
