"""A trainer that passes over steps done before, feels its way to batches that fit the memory, and stops at NaN."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback

from customspec.errors import MachineError, StepError
from customspec.ml.memory import is_out_of_memory, release
from customspec.ml.state import first_not_finite, random_state, set_random_state

SHOWN: Final = 16  # rows named in a message
QUICK: Final = 2 * 10**7  # trained weights that are looked through after every step; of more, before they are kept

log = logging.getLogger("customspec")


class SteadyTrainer(Trainer):
    """Trainer whose batches hold `rows`, the index of each row; every other tensor of a batch is (rows, ...) too."""

    row_ids: Sequence[str] = ()
    rows_seen = 0
    passed = 0
    """Steps that were done before: their batches are drawn, and nothing is computed."""
    most_rows: int | None = None
    """Of a batch in one pass; None while all of them fit the memory."""
    parts = 1
    """Passes that the present batch is taken in."""
    unlogged: Tensor | None = None
    """The sum of the losses since the last that was logged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.step_rows: list[int] = []
        self._batches: list[dict[str, Any]] = []
        self._carried: Tensor | None = None
        self._begun: tuple[int, Mapping[str, Any]] = (0, {})
        self.add_callback(_Steps(self))

    def pass_over(self, steps: int, unlogged: Tensor | None, most_rows: int | None) -> None:
        """Begin behind so many steps; the state that they led to is put back by whoever asks for it."""
        self.passed, self._carried, self.most_rows = steps, unlogged, most_rows

    def names_of(self, rows: Sequence[int]) -> str:
        named = [self.row_ids[index] for index in rows[:SHOWN]]
        return ", ".join(named) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")

    @property
    def notes(self) -> list[str]:
        """What a person should know of how it went."""
        if self.most_rows is None:
            return []
        return [f"memory was short: at most {self.most_rows} rows went through at once; a step is of as many as before"]

    def begin_step(self) -> None:
        self.step_rows, self._batches = [], []
        if self.state.global_step >= self.passed:
            self._begun = self.rows_seen, random_state()

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """The loss of one batch, its gradient added; in as many parts as the memory asks for."""
        self.step_rows += inputs["rows"].tolist()
        if self.state.global_step < self.passed:
            return self._passed_over()
        self._batches.append(inputs)
        loss = self._fitting(model, num_items_in_batch)
        self.unlogged = loss if self.unlogged is None else self.unlogged + loss
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        norm: Any = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        if self.state.global_step >= self.passed and not torch.isfinite(torch.as_tensor(norm)):
            raise StepError(f"the gradient is not finite {self.where()}")
        return norm

    def where(self) -> str:
        """The present step and its rows, in words."""
        return f"at step {self.state.global_step + 1}, in the batch of {self.names_of(self.step_rows)}"

    def _fitting(self, model: nn.Module, items: Tensor | int | None) -> Tensor:
        todo = self._batches[-1:]
        while True:
            try:
                return [self._in_parts(model, batch, items) for batch in todo][-1]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # out here nothing holds on to the tensors of the pass that failed
            self._take_fewer()
            self._begin_again(model)
            todo = self._batches

    def _in_parts(self, model: nn.Module, batch: dict[str, Any], items: Tensor | int | None) -> Tensor:
        """The batch's loss is a sum over its rows by `items`, so that its parts' add up to it."""
        rows = len(batch["rows"])
        size = min(self.most_rows or rows, rows)
        starts = range(0, rows, size)
        self.parts = len(starts)
        if self.parts == 1:
            return super().training_step(model, batch, items)
        losses = []
        for start in starts:
            part = {name: value[start : start + size] for name, value in batch.items()}
            losses.append(super().training_step(model, part, items))
        return torch.stack(losses).sum()

    def _take_fewer(self) -> None:
        rows = max(len(batch["rows"]) for batch in self._batches)
        rows = min(self.most_rows or rows, rows)
        if rows == 1:
            longest = max(batch["input_ids"].shape[-1] for batch in self._batches)
            raise MachineError(
                f"not enough memory to train on one row of {longest} tokens {self.where()}; shorter rows, a technique "
                "that trains fewer weights, a smaller model or a machine with more memory would do"
            )
        self.most_rows = (rows + 1) // 2
        log.warning("memory is short %s: from here on at most %d rows in one pass", self.where(), self.most_rows)
        release()

    def _begin_again(self, model: nn.Module) -> None:
        """The step from its first batch on: what was added to the gradients is dropped, random numbers come again."""
        model.zero_grad()
        self.rows_seen, generators = self._begun
        set_random_state(generators)

    def _passed_over(self) -> Tensor:
        nothing = torch.zeros((), device=self.args.device)
        if self.state.global_step < self.passed - 1 or self._carried is None:
            return nothing
        self.unlogged, self._carried = self._carried.to(nothing.device), None
        return self.unlogged


class _Steps(TrainerCallback):
    def __init__(self, trainer: SteadyTrainer) -> None:
        self._trainer = trainer

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._trainer.begin_step()

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._trainer.unlogged = None


class Finite(TrainerCallback):
    """Ends the training at the step that makes a weight NaN or infinite."""

    def __init__(self, trainer: SteadyTrainer) -> None:
        self._trainer = trainer
        self._quick: bool | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if self._quick is None:
            self._quick = sum(part.numel() for part in model.parameters() if part.requires_grad) <= QUICK
        if not self._quick or state.global_step <= self._trainer.passed:
            return
        if (name := first_not_finite(model)) is not None:
            rows = self._trainer.names_of(self._trainer.step_rows)
            raise StepError(
                f"the weight {name} is not finite after step {state.global_step}, in the batch of {rows}; "
                "try a smaller learning_rate"
            )
