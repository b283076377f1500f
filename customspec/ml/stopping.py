"""SIGINT and SIGTERM while weights are trained: the optimizer step is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

PATIENCE: Final = 4.0  # seconds for a step to end by itself; a run is to be gone within ten


class Stopping:
    """For as long as the `with` block: the first signal waits for a step's end, the second does not.

    What the signal does in the end is left to the handler that was there before, which raises. `asked` is the signal
    that came; `hurried` whether a second one did. Outside of the main thread there are no signals, and nothing is done.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.asked: int | None = None
        self.hurried = False
        self._patience = patience
        self._resting = self._changing = False
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._alarm: Any = None

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(before := signal.getsignal(number)):  # not one that is ignored, as under nohup
                    self._before[number] = before
                    signal.signal(number, self._came)
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def check(self) -> None:
        """A place where it is well to stop: ends here when a signal came."""
        if self.asked is not None:
            self._leave()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Nothing changes that a checkpoint holds: a signal ends at once."""
        self.check()
        self._resting = True
        try:
            yield
        finally:
            self._resting = False

    def changing(self, now: bool) -> None:
        """Weights are being changed, or written, from now on or no longer: not even a late signal may end that."""
        self._changing = now

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            self.hurried = True
            self._leave()
        self.asked = number
        if self._resting:
            self._leave()
        self._alarm = signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, self._patience)

    def _late(self, *_: object) -> None:
        if not self._changing:
            self._leave()

    def _leave(self) -> None:
        before, number = self._before[self.asked or signal.SIGINT], self.asked or signal.SIGINT
        self._give_back()
        before(number, None)

    def _give_back(self) -> None:
        if self._alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
            self._alarm = None
        for number, before in self._before.items():
            signal.signal(number, before)
