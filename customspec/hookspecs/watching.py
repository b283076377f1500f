"""The contract of what looks on at a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Progress(Protocol):
    """Sees the steps of a run as they go; must not change them. Step ids are the plan's."""

    def started(self, step: str, total: int | None) -> None:
        """A step began to work; `total` is the number of units of work that it will report, if it knows."""

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        """A step has done so many units of `total`, where that is known by now.

        `note` is for people. `values` are numbers worth a curve: of a training `loss`, `learning_rate` and
        `grad_norm`, where a unit is an optimizer step.
        """

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """A step ended: done, cached, skipped or failed, the last two with a reason.

        `values` are what the step measured, plain JSON, where it has a result. A step that was cached or skipped
        never started.
        """


class Watcher(Progress, Protocol):
    """Takes a run's course elsewhere: a tracking server, a chart. Off unless asked for.

    All methods are called in one thread, in this order: `run_started`; for each step `started`, any number of
    `progress`, `finished`; `run_finished`. One that raises is named in the log and called no more.
    """

    @property
    def name(self) -> str:
        """The entry point's name, without `watcher.`."""

    @property
    def summary(self) -> str:
        """One paragraph: where what is watched goes to."""

    def run_started(self, plan: Mapping[str, Any], folder: Path) -> None:
        """The plan as `plan.json` has it, and the run's folder, in which a watcher may make one of its own name."""

    def run_finished(self, results: Mapping[str, Any] | None) -> None:
        """The results as `results.json` has them, of an interrupted run what was finished; None when there are none."""
