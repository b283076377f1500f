"""How a run looks while it goes: bars on a terminal, plain lines elsewhere, all on stderr; and its lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from customspec.hookspecs import Progress as Following
from customspec.report import numbers
from customspec.report.logs import tell
from customspec.report.text import escape

QUIET_SECONDS = 10.0  # between two plain lines of one step
LOG_SECONDS = 60.0  # the same in a log

log = logging.getLogger("customspec")


@contextmanager
def watching() -> Iterator[Following]:
    """Bars where stderr is a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield Lines(tell)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as progress:
        yield Bars(progress)


def logged() -> Following:
    """A run's course in the log."""
    return Lines(log.info, LOG_SECONDS)


class Bars:
    """One bar per step, with rate and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def started(self, step: str, total: int | None) -> None:
        self._tasks[step] = self._progress.add_task(escape(step), total=total, rate="")

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        task = self._tasks[step]
        speed = self._progress.tasks[self._progress.task_ids.index(task)].speed
        rate = f"{_speed(speed)} {note}" if speed else note
        self._progress.update(task, completed=done, total=total, rate=rate)

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        task = self._tasks.pop(step, None)
        if task is not None:
            self._progress.remove_task(task)
        self._progress.console.print(ended(step, status, seconds, reason), markup=False, highlight=False)


class Lines:
    """A line when a step starts and ends, and now and then in between."""

    def __init__(self, write: Callable[[str], object], quiet: float = QUIET_SECONDS) -> None:
        self._write = write
        self._quiet = quiet
        self._began: dict[str, float] = {}
        self._written: dict[str, float] = {}

    def started(self, step: str, total: int | None) -> None:
        self._began[step] = self._written[step] = time.monotonic()
        self._write(f"{escape(step)}: started")

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        now = time.monotonic()
        if not done:
            self._began[step] = now  # what came before, such as loading a model, is no part of the rate
        if now - self._written[step] < self._quiet or not done:
            return
        self._written[step] = now
        rate = done / (now - self._began[step])
        left = f", {numbers.seconds((total - done) / rate)} left" if total and done < total else ""
        more = f", {note}" if note else ""
        self._write(f"{escape(step)}: {done}/{total or '?'} at {_speed(rate)}{left}{more}")

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self._write(ended(step, status, seconds, reason))


def _speed(rate: float) -> str:
    """By the second, or seconds for each where that is less than one."""
    return f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"


def ended(step: str, status: str, seconds: float, reason: str | None) -> str:
    """A step's last line."""
    time_taken = f" in {seconds:.1f} s" if status == "done" else ""
    return f"{escape(step)}: {status}{time_taken}" + (f": {escape(reason)}" if reason else "")
