"""A plugin that does not come back is told of while it is at work, and after an hour its call is ended: nothing else
would say why nothing happens."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Final

from customspec.containment import Calls, counting_calls

EVERY: Final = 60.0  # seconds between two looks
LOOKS: Final = 5  # that find the same, until it is told
MOST: Final = 60  # that find the same call, until it is ended
CORE: Final = "customspec"
ENDING: Final = signal.SIGUSR1

log = logging.getLogger("customspec")


class HungError(Exception):
    """Raised in the plugin's function, which native code that never returns keeps from happening."""

    def __init__(self) -> None:
        super().__init__("it was at work whenever looked at for an hour, in one call, which was ended")


@contextmanager
def noticing_stalls(every: float = EVERY, most: int = MOST) -> Iterator[None]:
    """Another thread looks now and then at what this one is doing. Within the main thread it can end it."""
    over = threading.Event()
    with counting_calls() as calls, _ending():
        look = _Look(threading.get_ident(), calls, every, most)
        threading.Thread(target=look.until, args=(over,), daemon=True).start()
        try:
            yield
        finally:
            over.set()


@contextmanager
def _ending() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(ENDING, _end)
    try:
        yield
    finally:
        signal.signal(ENDING, before)


def _end(_: int, frame: FrameType | None) -> None:
    if _innermost(frame, _plugins()) is not None:  # it may just have come back
        raise HungError


class _Look:
    """What was found when last looked, and how often."""

    def __init__(self, thread: int, calls: Calls, every: float, most: int) -> None:
        self._thread, self._calls, self._every, self._most = thread, calls, every, most
        self._code: CodeType | None = None
        self._begun = 0
        self._found = self._same = 0
        self._plugins: Mapping[str, str] = {}

    def until(self, over: threading.Event) -> None:
        while not over.wait(self._every):
            self._plugins = self._plugins or _plugins()
            self._look(_innermost(sys._current_frames().get(self._thread), self._plugins))

    def _look(self, frame: FrameType | None) -> None:  # which is not kept: it holds what its function holds
        code, begun = (None if frame is None else frame.f_code), self._calls.begun
        self._found = self._found + 1 if code is self._code else 1
        self._same = self._same + 1 if frame is not None and begun == self._begun else 1
        self._code, self._begun = code, begun
        if frame is None:
            return
        if self._found == LOOKS:
            _tell(frame, self._plugins[_package(frame)], self._every * (LOOKS - 1))
        if self._same >= self._most and signal.getsignal(ENDING) is _end:
            self._same = 0  # the next signal only after as long again
            signal.pthread_kill(self._thread, ENDING)


def _plugins() -> dict[str, str]:
    """Each plugin's package, with its distribution and version."""
    from customspec.registry import discover

    offers = (offer for claims in discover().offers.values() for offer in claims)
    return {offer.entry.module.partition(".")[0]: str(offer) for offer in offers}


def _innermost(frame: FrameType | None, plugins: Mapping[str, str]) -> FrameType | None:
    """The frame of a plugin's function, where that is at work, or a library for it; None where the core is."""
    while frame is not None and _package(frame) != CORE:
        if _package(frame) in plugins:
            return frame
        frame = frame.f_back
    return None


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _tell(frame: FrameType, plugin: str, seconds: float) -> None:
    from customspec.report.quantities import duration

    log.warning(
        "plugin %s was at work in %s.%s whenever looked at for %s: if it hangs, Ctrl-C ends the command, and what is "
        "finished is kept",
        plugin,
        frame.f_globals.get("__name__"),
        frame.f_code.co_qualname,
        duration(seconds),
    )
