"""A training that can be cut off anywhere: what it holds at each step's end, written now and then and when it is
stopped, and put back. Trainer's own resuming, which pickles and takes a torn checkpoint for a whole one, is not used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from torch import nn
from transformers import TrainerCallback

from customspec import __version__
from customspec.errors import CustomspecError, StepError
from customspec.ml.selection import Keeper
from customspec.ml.state import (
    UnknownStateError,
    first_not_finite,
    load_state,
    random_state,
    save_state,
    set_random_state,
    set_weights,
    trained_weights,
)
from customspec.ml.steady import SteadyTrainer
from customspec.ml.stopping import Stopping
from customspec.store import Checkpoints, link_tree

FORMAT: Final = 1  # raised when a checkpoint holds something else: older ones are then not read
SPARED: Final = 20  # times as long as it took to write the last one, nothing is written: at most a twentieth is lost
KEPT: Final = "kept"

log = logging.getLogger("customspec")


class UnusableError(Exception):
    """A checkpoint that is whole, and yet not of this training: begin anew without it."""


@dataclass(frozen=True)
class Checkpointing:
    """Where checkpoints lie, after how many seconds one is written (0: after every step), and what a training holds
    outside of its trainer.

    `kept` is the folder of the best artifact so far, if there is one; `adopt` takes such a folder over. `state` and
    `restore` are the technique's own memory.
    """

    checkpoints: Checkpoints
    seconds: float
    kept: Callable[[], Path | None]
    adopt: Callable[[Path], None]
    state: Callable[[nn.Module], Any] = lambda _: None
    restore: Callable[[nn.Module, Any], None] = lambda _, __: None


@dataclass(frozen=True)
class Moment:
    """The end of a step: all that weights, optimizer and schedule don't hold. `looked`: the keeper has seen it."""

    step: int = 0
    looked: bool = False
    epoch: int = 0
    rows: tuple[int, ...] = ()
    """Of the step's batch: on the way back here they must be the same."""
    rows_seen: int = 0
    seconds: float = 0.0
    losses: tuple[tuple[int, float], ...] = ()
    unlogged: Any = None
    """The sum of the losses since the last that was told."""
    most_rows: int | None = None
    keeper: Any = None
    random: Any = None
    epoch_random: Any = None
    """At the beginning of the epoch, when the order of its rows was drawn."""


@dataclass(eq=False)
class Course(TrainerCallback):
    """Follows one training. It comes before the keeper, and `Looked` behind it."""

    trainer: SteadyTrainer
    keeper: Keeper
    plan: Checkpointing | None
    stop: Stopping = field(default_factory=Stopping)

    def __post_init__(self) -> None:
        self._moment, self._written = Moment(), 0
        self._back: Moment | None = None
        self._folder: Path | None = None
        self._back, self._folder = self._found()
        self._epoch = -1
        self._epoch_random: Any = None
        self._losses: tuple[tuple[int, float], ...] = ()
        self._began = self._last = time.monotonic()
        self._spare = 0.0
        self.keeper.resting = self.stop.resting
        self._model: Any = None
        self._optimizer: Any = None
        self._schedule: Any = None
        if self._back is not None:
            self.trainer.pass_over(self._back.step, self._back.unlogged, self._back.most_rows)
            self.keeper.pass_over(self._back.step - 1)

    def run(self) -> None:
        """Train. Stopped by a signal, what was trained is kept before it has its way."""
        if self.plan is None:
            self.trainer.train()
            return
        with self.stop:
            try:
                self.trainer.train()
            except BaseException:
                self.leave()
                raise

    @property
    def seconds(self) -> float:
        """Of training, in this process and those before it."""
        return time.monotonic() - self._began

    @property
    def losses(self) -> tuple[tuple[int, float], ...]:
        live = [entry for entry in self.trainer.state.log_history if "loss" in entry]
        logged = ((int(entry["step"]), float(entry["loss"])) for entry in live if entry["step"] >= self.trainer.passed)
        return (*self._losses, *logged)

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._model, self._optimizer, self._schedule = (more[key] for key in ("model", "optimizer", "lr_scheduler"))

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._epoch += 1
        if self._back is not None and self._epoch == self._back.epoch:
            set_random_state(self._back.epoch_random)
        self._epoch_random = random_state()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.stop.changing(True)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.stop.changing(False)
        if self._back is not None and state.global_step < self._back.step:
            return
        if self._back is not None:
            self._put_back(self._back)
            self._back = None
        else:
            self._moment = self._now(state.global_step)
        self.stop.check()

    def looked(self, step: int) -> None:
        """The keeper has seen the step: what it found is part of the moment; time to write, perhaps."""
        self._moment = replace(self._now(step), rows=self._moment.rows, looked=True)
        if self.plan is not None and step > self._written and self._is_time(self.plan.seconds):
            self.stop.changing(True)  # dropped by a late signal, it would only be written again before the end
            try:
                self.write()
            finally:
                self.stop.changing(False)
        self.stop.check()

    def _is_time(self, seconds: float) -> bool:
        waited = time.monotonic() - self._last
        return waited >= max(seconds, self._spare) if seconds else True

    def leave(self) -> None:
        """Stopped: keep what there is, unless it is written already or the person is in a hurry."""
        if self.stop.asked is None or self.stop.hurried or self._moment.step <= self._written:
            return
        try:
            self.write()
        except CustomspecError as error:  # the person wants to go, and is told why they will not find it
            log.error("what was trained since the last checkpoint is lost: %s", error)

    def write(self) -> None:
        """Publish the moment. Raises StepError for a weight that is not finite, MachineError for the disk."""
        if self.plan is None:
            return
        began = time.monotonic()
        try:
            self.plan.checkpoints.write(self._moment.step, self._fill)
        except UnknownStateError as error:
            log.warning("%s: no checkpoints: %s", self.plan.checkpoints.step, error)
            self.plan = None
            return
        self._written, self._last = self._moment.step, time.monotonic()
        self._spare = SPARED * (self._last - began)
        log.info("checkpoint of step %d, in %.1f s", self._written, self._last - began)

    def _fill(self, folder: Path) -> dict[str, Any]:
        assert self.plan is not None
        if name := first_not_finite(self._model):
            raise StepError(f"the weight {name} is not finite after step {self._moment.step}")
        save_state(trained_weights(self._model), folder, "weights")
        save_state(self._optimizer.state_dict(), folder, "optimizer")
        rest = {"schedule": self._schedule.state_dict(), "technique": self.plan.state(self._model)}
        save_state({**rest, "moment": vars(self._moment)}, folder, "rest")
        if (kept := self.plan.kept()) is not None:
            link_tree(kept, folder / KEPT)
        return {"format": FORMAT, "customspec": __version__}

    def _found(self) -> tuple[Moment, Path] | tuple[None, None]:
        if self.plan is None or (found := self.plan.checkpoints.newest()) is None:
            return None, None
        if found.values != {"format": FORMAT, "customspec": __version__}:
            raise UnusableError("another version of customspec wrote it")
        moment = Moment(**load_state(found.folder, "rest")["moment"])
        if (found.folder / KEPT).is_dir():
            self.plan.adopt(found.folder / KEPT)
        log.info("going on after step %d, from its checkpoint", moment.step)
        return moment, found.folder

    def _put_back(self, moment: Moment) -> None:
        assert self.plan is not None
        assert self._folder is not None
        if moment.rows != tuple(self.trainer.step_rows):
            raise UnusableError("its batches are others")
        rest = load_state(self._folder, "rest")
        try:
            set_weights(self._model, load_state(self._folder, "weights"))
            self._optimizer.load_state_dict(load_state(self._folder, "optimizer"))
        except ValueError as error:
            raise UnusableError(str(error)) from error
        self._schedule.load_state_dict(rest["schedule"])
        self.plan.restore(self._model, rest["technique"])
        self.keeper.set_state(moment.keeper, moment.step if moment.looked else moment.step - 1)
        self.trainer.rows_seen = moment.rows_seen
        self._losses, self._written, self._moment = moment.losses, moment.step, moment
        self._last = time.monotonic()
        self._began = self._last - moment.seconds
        set_random_state(moment.random)

    def _now(self, step: int) -> Moment:
        return Moment(
            step=step,
            epoch=self._epoch,
            rows=tuple(self.trainer.step_rows),
            rows_seen=self.trainer.rows_seen,
            seconds=self.seconds,
            losses=self.losses,
            unlogged=self.trainer.unlogged,
            most_rows=self.trainer.most_rows,
            keeper=self.keeper.state(),
            random=random_state(),
            epoch_random=self._epoch_random,
        )


class Looked(TrainerCallback):
    """Stands behind the keeper, and tells the course when it is done."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= self._course.trainer.passed:
            self._course.looked(state.global_step)
