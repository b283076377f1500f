"""The one training loop: transformers' Trainer, with the loss on the answer's tokens only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.arguments import training_arguments
from customspec.ml.batching import bare, evaluating
from customspec.ml.checkpointing import Checkpointing, Course, Looked
from customspec.ml.compiling import WORTH, CompiledLayers, Compiling, compiles
from customspec.ml.forward import Batch, Forward, collate, features_of, supervised
from customspec.ml.head_loss import many, plain_head, summed_loss, without_head
from customspec.ml.lean_lora import lean_lora
from customspec.ml.objective import Objective
from customspec.ml.quiet import quietly
from customspec.ml.selection import Keeper, Selection
from customspec.ml.state import first_not_finite
from customspec.ml.steady import Finite, SteadyTrainer
from customspec.spec import TrainingOptions

CURVES = ("loss", "learning_rate", "grad_norm")  # what Trainer logs and a watcher may draw

T = TypeVar("T")
OnStep = Callable[[int, int, str, Mapping[str, float] | None], None]


@dataclass(frozen=True, slots=True)
class Extras:
    """What a technique adds to the loop, where it does."""

    optimizer: Callable[[nn.Module], torch.optim.Optimizer | None] | None = None
    """In place of AdamW with one learning rate; None leaves it at that."""
    penalty: Callable[[nn.Module], Tensor] | None = None
    """Added to the loss of every batch."""
    after_step: Callable[[nn.Module, int], None] | None = None
    """After each optimizer step, gradients still there; steps count from 1."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training did. `losses`: (step, mean loss per answer token since the point before, penalty included);
    `evaluations`: (step, the selecting metric); `kept`: the step whose state was kept, None where none was saved."""

    steps: int
    rows: int
    seconds: float
    losses: tuple[tuple[int, float], ...]
    evaluations: tuple[tuple[int, float], ...] = ()
    kept: int | None = None
    evaluation_seconds: float = 0.0
    notes: tuple[str, ...] = ()


@quietly()
def train(
    model: nn.Module,
    rows: Sequence[Encoded],
    options: TrainingOptions,
    *,
    steps: int,
    seed: int,
    pad: int,
    device: str,
    autocast: bool,
    scratch: Path,
    selection: Selection | None = None,
    untrained_loss: float | None = None,
    extras: Extras = Extras(),
    objective: Objective | None = None,
    checkpointing: Checkpointing | None = None,
    worth_compiling: float = WORTH,
    progress: OnStep = lambda done, total, note, values: None,
) -> Trained:
    """Train in place for `steps` optimizer steps, or until `selection` ends it early; with a selection, the state to
    use is the one that it saved. `untrained_loss`: the base model's `sample_loss`; a loss that is no lower after a
    tenth of the steps is noted. `objective`: in place of the answers' cross-entropy, over the same rows. `progress`
    gets steps done, steps in all, and the loss: as a note, and at each point of the curve as a number, with the
    learning rate and the gradients' norm. `worth_compiling`: seconds left for which layers are compiled on a CUDA GPU.
    With `checkpointing` it goes on where an earlier call was cut off, to the very weights that it would have ended in.

    Raises StepError for a batch without a supervised token, and for a loss, a gradient or a weight that is not finite;
    MachineError when one row does not fit the memory; UnusableError when the checkpoint is not of this training.
    """
    seed_everything(seed)
    keeper = Keeper(selection, steps, untrained_loss, partial(sample_loss, rows=rows, pad=pad, objective=objective))
    arguments = training_arguments(options, steps, seed, device, autocast, scratch)
    trainer = _trainer(model, rows, arguments, pad, extras, objective)
    course = Course(trainer, keeper, checkpointing)
    _follow(trainer, course, keeper, extras, progress, worth_compiling)
    with lean_lora(model):
        course.run()
    if keeper.kept is None:
        _check_weights(model)
    return Trained(
        steps=trainer.state.global_step,
        rows=trainer.rows_seen,
        seconds=course.seconds,
        losses=course.losses,
        evaluations=tuple(keeper.evaluations),
        kept=keeper.kept,
        evaluation_seconds=keeper.seconds,
        notes=(*keeper.notes, *trainer.notes),
    )


def seed_everything(seed: int) -> None:
    """Python's, NumPy's and torch's random numbers."""
    set_seed(seed)


def spread_over(rows: Sequence[T], count: int = 16) -> Sequence[T]:
    """Some rows, spread over all of them."""
    return rows[:: math.ceil(len(rows) / count)]


def sample_loss(model: nn.Module, rows: Sequence[Encoded], pad: int, objective: Objective | None = None) -> float:
    """The loss on some of the rows, in evaluation mode: `mean_loss`, or the mean of the rows' own."""
    if objective is None:
        return mean_loss(model, spread_over(rows), pad)
    return objective.mean(model, spread_over(range(len(rows))))


@quietly()
def mean_loss(model: nn.Module, rows: Sequence[Encoded], pad: int, batch: int = 8) -> float:
    """Mean cross-entropy per answer token, in nats, in evaluation mode."""
    total, count = 0.0, 0
    features = features_of(rows)
    device = next(model.parameters()).device
    with evaluating(model):
        for start in range(0, len(rows), batch):
            some = {name: part.to(device) for name, part in collate(features[start : start + batch], pad).items()}
            predicting, targets = supervised(some)
            logits = Forward().answer_logits(model, some, predicting)
            total += float(F.cross_entropy(logits.float(), targets, reduction="sum"))
            count += targets.numel()
    return total / max(1, count)


class AnswerTrainer(SteadyTrainer):
    """Trainer whose loss is the mean cross-entropy over the answer tokens of the whole accumulated batch."""

    shown = Forward()
    penalty: Callable[[nn.Module], Tensor] | None = None
    objective: Objective | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.compiled = CompiledLayers(cast(nn.Module, self.model))
        self._head = cache(plain_head)
        self._vocabulary = bare(cast(nn.Module, self.model)).config.get_text_config(decoder=True).vocab_size
        self.model_accepts_loss_kwargs = True  # so that the loss is scaled by the tokens of all accumulated batches

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Sum of the cross-entropies over the supervised tokens, or of the rows' losses, by `num_items_in_batch`."""
        total, items = self._summed(model, cast(Batch, inputs))
        loss = total / (num_items_in_batch or items)
        if self.penalty is not None:
            loss = loss + self.penalty(model) / (self.current_gradient_accumulation_steps * self.parts)
        if not torch.isfinite(loss):
            step = self.state.global_step + 1
            raise StepError(
                f"the loss is not finite at step {step}, in the batch of {self.names_of(inputs['rows'].tolist())}"
            )
        self.rows_seen += len(inputs["rows"])
        return (loss, None) if return_outputs else loss

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """A step's batches, and what its loss is the mean over: supervised tokens, or rows."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.objective is not None:
            items = torch.tensor(sum(len(batch["rows"]) for batch in batches), device=device)
        return batches, items

    def _summed(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """The batch's summed loss, and the number of what it is a sum over."""
        if self.objective is not None:
            with self.accelerator.autocast():
                losses = self.objective.losses(model, batch)
            return losses.sum(), len(losses)
        predicting, targets = supervised(batch)
        if not targets.numel():
            raise StepError(f"no supervised token in the batch of {self.names_of(batch['rows'].tolist())}")
        # a model in a wrapper is called within autocast, past Trainer's own
        with self.accelerator.autocast():
            head = self._head(model) if many(targets.numel(), self._vocabulary) else None
            with self.compiled.used():
                return self._cross_entropy(model, batch, predicting, targets, head), targets.numel()

    def _cross_entropy(
        self, model: nn.Module, batch: Batch, predicting: Tensor, targets: Tensor, head: nn.Linear | None
    ) -> Tensor:
        """Summed, in nats; with a `head`, without all logits in memory."""
        if head is None:
            logits = self.shown.answer_logits(model, batch, predicting)  # (answer tokens, vocabulary)
            return F.cross_entropy(logits.float(), targets, reduction="sum")
        with without_head(model):
            states = self.shown.answer_logits(model, batch, predicting)  # (answer tokens, width)
        return summed_loss(states, head, targets)


def _trainer(
    model: nn.Module,
    rows: Sequence[Encoded],
    arguments: TrainingArguments,
    pad: int,
    extras: Extras,
    objective: Objective | None,
) -> AnswerTrainer:
    batch = min(len(rows), arguments.per_device_train_batch_size)
    objective = objective and objective.shown_to(model, batch)
    forward = Forward.of(model, rows, batch=batch, pad=pad) if objective is None else objective.shown
    trainer = AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=cast(Any, features_of(rows, forward) if objective is None else objective.features),
        data_collator=partial(collate, pad=pad) if objective is None else objective.collate,
        optimizers=(None if extras.optimizer is None else extras.optimizer(model), None),
    )
    trainer.row_ids, trainer.shown = [row.example.id for row in rows], forward
    trainer.penalty, trainer.objective = extras.penalty, objective
    trainer.remove_callback(PrinterCallback)
    return trainer


def _follow(
    trainer: AnswerTrainer, course: Course, keeper: Keeper, extras: Extras, progress: OnStep, worth: float
) -> None:
    """What looks at every step, in this order: `Looked` sees what all the others did."""
    after = [] if extras.after_step is None else [_After(extras.after_step, trainer.passed)]
    told = _Progress(progress, trainer.passed)
    for callback in (*_compiling(trainer, worth), Finite(trainer), course, told, keeper, *after, Looked(course)):
        trainer.add_callback(callback)


def _compiling(trainer: AnswerTrainer, worth: float) -> list[TrainerCallback]:
    # what runs a shared beginning apart has caches, which differ from layer to layer
    if trainer.objective is not None or trainer.shown.apart or not compiles(cast(nn.Module, trainer.model)):
        return []
    return [Compiling(trainer.compiled, trainer.passed, worth)]


class _After(TrainerCallback):
    def __init__(self, act: Callable[[nn.Module, int], None], passed: int) -> None:
        self._act, self._passed = act, passed

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step >= self._passed:
            self._act(model, state.global_step + 1)


class _Progress(TrainerCallback):
    def __init__(self, tell: OnStep, passed: int) -> None:
        self._tell, self._passed = tell, passed
        self._loss = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "loss" in logs and state.global_step > self._passed:
            self._loss = f"loss {logs['loss']:.3f}"
            values = {name: float(logs[name]) for name in CURVES if name in logs}
            self._tell(state.global_step, state.max_steps, self._loss, values)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= self._passed:
            self._tell(state.global_step, state.max_steps, self._loss, None)


def _check_weights(model: nn.Module) -> None:
    if name := first_not_finite(model):
        raise StepError(f"the weight {name} is not finite after training; try a smaller learning_rate")
