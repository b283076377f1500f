"""Which state of a training is kept: the best on the validation rows; and when to stop, or to say that it fails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import TrainerCallback

from customspec.errors import StepError
from customspec.ml.state import first_not_finite

LEAST_STEPS = 30  # of a training that is looked at for whether it learns


@dataclass(frozen=True, slots=True)
class Selection:
    """How states are compared, and how the best one is kept.

    `measure` gives the metric on the validation rows, as the test is measured; `save` keeps the model as it is now,
    in place of what it kept before. States are compared every `every` steps and after the last; training stops when
    `patience` comparisons in a row brought nothing better (None: never).
    """

    measure: Callable[[nn.Module], float]
    save: Callable[[nn.Module], None]
    higher_is_better: bool
    every: int
    patience: int | None = None


class Keeper(TrainerCallback):
    """Compares, keeps, and stops early. `kept` is the step of the state that was saved."""

    def __init__(
        self,
        selection: Selection | None,
        steps: int,
        untrained_loss: float | None,
        loss_now: Callable[[nn.Module], float],
    ) -> None:
        self._selection, self._steps = selection, steps
        self._untrained_loss, self._loss_now = untrained_loss, loss_now
        # the first steps are warm-up: a run of a few steps tells nothing
        self._look_at = math.ceil(steps / 10) if steps >= LEAST_STEPS else None
        self._waited = 0
        self._seen = 0  # steps that need no look: one was taken before the training was cut off
        self.resting: Callable[[], AbstractContextManager[None]] = nullcontext
        """Around what may be broken off."""
        self.evaluations: list[tuple[int, float]] = []
        self.notes: list[str] = []
        self.kept: int | None = None
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Trainer's hook after an optimizer step."""
        if state.global_step <= self._seen:
            control.should_training_stop = control.should_training_stop or self._done_waiting()
            return
        began = time.monotonic()
        if state.global_step == self._look_at:
            self._look_whether_it_learns(model)
        if self._due(state.global_step):
            self._compare(model, state.global_step)
            control.should_training_stop = control.should_training_stop or self._done_waiting()
        self.seconds += time.monotonic() - began

    def state(self) -> dict[str, Any]:
        """What it found so far."""
        found = {"evaluations": list(self.evaluations), "notes": list(self.notes), "kept": self.kept}
        return {**found, "waited": self._waited, "seconds": self.seconds}

    def pass_over(self, steps: int) -> None:
        """No look at the first so many steps: `set_state` brings what was found there."""
        self._seen = steps

    def set_state(self, state: Mapping[str, Any], seen: int) -> None:
        """Go on from what `state` gave, `seen` steps being looked at."""
        self.evaluations, self.notes, self.kept = list(state["evaluations"]), list(state["notes"]), state["kept"]
        self._waited, self.seconds, self._seen = state["waited"], state["seconds"], seen

    def _due(self, step: int) -> bool:
        return self._selection is not None and (step % self._selection.every == 0 or step == self._steps)

    def _compare(self, model: nn.Module, step: int) -> None:
        assert self._selection is not None
        if name := first_not_finite(model):
            raise StepError(f"the weight {name} is not finite after step {step}; try a smaller learning_rate")
        with self.resting():
            value = self._selection.measure(model)
        if self._improves(value):
            self._selection.save(model)
            self.kept = step
        best = self._best()
        self._waited = 0 if best is None or self._ahead(value, best) else self._waited + 1
        self.evaluations.append((step, value))

    def _best(self) -> float | None:
        assert self._selection is not None
        values = [value for _, value in self.evaluations if not math.isnan(value)]
        return None if not values else max(values) if self._selection.higher_is_better else min(values)

    def _improves(self, value: float) -> bool:
        # among equals the later one: it has seen more, at a lower learning rate
        best = self._best()
        return not math.isnan(value) and (best is None or value == best or self._ahead(value, best))

    def _ahead(self, value: float, best: float) -> bool:
        assert self._selection is not None
        return value > best if self._selection.higher_is_better else value < best

    def _done_waiting(self) -> bool:
        patience = None if self._selection is None else self._selection.patience
        return patience is not None and self._waited >= patience

    def _look_whether_it_learns(self, model: nn.Module) -> None:
        if self._untrained_loss is None or (now := self._loss_now(model)) < self._untrained_loss:
            return
        self.notes.append(
            f"not learning: after a tenth of the steps the loss on training rows is {now:.2f}, the untrained model's "
            f"is {self._untrained_loss:.2f}; {_advice(now, self._untrained_loss)}"
        )


def _advice(now: float, untrained: float) -> str:
    if not math.isfinite(now) or now > untrained + 0.5:
        return "try a smaller learning_rate, a longer warm-up, or another initialization"
    return "try a larger learning_rate, or more steps"
