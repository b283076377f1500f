"""What follows a run: terminal, log, and the watchers that were asked for; a fault of theirs never harms the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from customspec.containment import contained
from customspec.errors import Terminated, UsageError
from customspec.hookspecs import Progress, Watcher
from customspec.plan import Plan
from customspec.registry import Registry, check_extra
from customspec.suggest import closest, did_you_mean

log = logging.getLogger("customspec")


def find_watchers(names: Sequence[str], registry: Registry) -> tuple[Watcher, ...]:
    """The watchers of these names. Raises UsageError for an unknown one, PluginError for one that cannot be used."""
    return tuple(_find(name, registry) for name in dict.fromkeys(names))


def _find(name: str, registry: Registry) -> Watcher:
    known = registry.names("watcher")
    if name not in known:
        nearest = closest(name, known)
        hint = did_you_mean(nearest, f"installed: {', '.join(known) or 'none'}")
        raise UsageError(f"--watch: no watcher `{name}` is installed; {hint}")
    watcher = registry.watcher(name)
    check_extra("watcher", watcher)
    return watcher


@contextmanager
def watched(
    plan: Plan, folder: Path, displays: Sequence[Progress], watchers: Sequence[Watcher], tell: Callable[[str], None]
) -> Iterator[Watched]:
    """All of them as one, told that the run started, and at the latest on leaving that it ended.

    `tell` gets a sentence about each watcher that is switched off.
    """
    together = Watched(displays, watchers, tell)
    together.run_started(plan.to_json(), folder)
    try:
        yield together
    finally:
        together.run_finished(None)  # cut short; nobody listens any more where the results were told


class Watched:
    """Passes everything on; a watcher that raises is named, logged and called no more."""

    def __init__(self, displays: Sequence[Progress], watchers: Sequence[Watcher], tell: Callable[[str], None]) -> None:
        self._displays = tuple(displays)
        self._watchers = list(watchers)
        self._tell = tell

    def run_started(self, plan: Mapping[str, Any], folder: Path) -> None:
        self._each("run_started", plan, folder)

    def started(self, step: str, total: int | None) -> None:
        for display in self._displays:
            display.started(step, total)
        self._each("started", step, total)

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        for display in self._displays:
            display.progress(step, done, total, note, values)
        self._each("progress", step, done, total, note, values)

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        for display in self._displays:
            display.finished(step, status, seconds, reason, values)
        self._each("finished", step, status, seconds, reason, values)

    def run_finished(self, results: Mapping[str, Any] | None) -> None:
        """The last that watchers are told."""
        self._each("run_finished", results)
        self._watchers.clear()

    def _each(self, method: str, *arguments: Any) -> None:
        for watcher in tuple(self._watchers):
            try:
                with contained(f"watcher `{watcher.name}`"):
                    getattr(watcher, method)(*deepcopy(arguments))  # a watcher may change what it gets
            except (KeyboardInterrupt, Terminated):
                raise
            except BaseException as error:
                self._watchers.remove(watcher)
                log.error("watcher %s failed", watcher.name, exc_info=error)
                self._tell(f"watcher `{watcher.name}` is switched off: {type(error).__name__}: {error}")
