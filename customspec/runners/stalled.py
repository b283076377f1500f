"""A plugin that does not come back is told of while it is at work: nothing else would say why nothing happens."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Final

EVERY: Final = 60.0  # seconds between two looks
LOOKS: Final = 5  # that find the same, until it is told
CORE: Final = "customspec"

log = logging.getLogger("customspec")


@contextmanager
def noticing_stalls(every: float = EVERY) -> Iterator[None]:
    """Another thread looks now and then at what this one is doing."""
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(threading.get_ident(), over, every), daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()


def _look(thread: int, over: threading.Event, every: float) -> None:
    last: CodeType | None = None
    found = 0
    plugins: Mapping[str, str] = {}
    while not over.wait(every):
        plugins = plugins or _plugins()
        frame = _innermost(sys._current_frames().get(thread), plugins)
        code = None if frame is None else frame.f_code
        found = found + 1 if code is last else 1
        last = code
        if frame is not None and found == LOOKS:
            _tell(frame, plugins[_package(frame)], every * (LOOKS - 1))
        del frame  # it holds what its function holds


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
