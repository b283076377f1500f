"""The one training loop: transformers' Trainer, with the loss on the answer's tokens only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.batching import accepts
from customspec.ml.quiet import quietly
from customspec.spec import TrainingOptions

IGNORED = -100  # label of a token that the loss does not see
LOGGED_STEPS = 200  # points of the loss curve at most
CURVES = ("loss", "learning_rate", "grad_norm")  # what Trainer logs and a watcher may draw

Tell = Callable[[int, int, str, Mapping[str, float] | None], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training did. `losses`: (step, mean loss per answer token since the point before)."""

    steps: int
    rows: int
    seconds: float
    losses: tuple[tuple[int, float], ...]


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
    progress: Tell = lambda done, total, note, values: None,
) -> Trained:
    """Train in place for `steps` optimizer steps; `progress` gets steps done, steps in all, and the loss: as a note,
    and at each point of the curve as a number, with the learning rate and the gradients' norm.

    Raises StepError for a batch without a supervised token and for a loss or a weight that is not finite.
    """
    seed_everything(seed)
    arguments = _arguments(options, steps, seed, device, autocast, scratch)
    arguments._n_gpu = min(1, arguments.n_gpu)  # one device a step: Trainer would spread the batch over all it sees
    trainer = AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=cast(Any, [_features(index, row) for index, row in enumerate(rows)]),
        data_collator=lambda features: collate(features, pad),
        callbacks=[_Progress(progress)],
    )
    trainer.row_ids = [row.example.id for row in rows]
    trainer.remove_callback(PrinterCallback)
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    _check_weights(model)
    losses = [(int(entry["step"]), entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return Trained(trainer.state.global_step, trainer.rows_seen, seconds, tuple(losses))


def seed_everything(seed: int) -> None:
    """Python's, NumPy's and torch's random numbers."""
    set_seed(seed)


class AnswerTrainer(Trainer):
    """Trainer whose loss is the mean cross-entropy over the answer tokens of the whole accumulated batch."""

    row_ids: Sequence[str] = ()
    rows_seen = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True  # so that the loss is scaled by the tokens of all accumulated batches
        self._sparse_head = accepts(cast(nn.Module, self.model), "logits_to_keep")

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Sum of the cross-entropies over the supervised tokens, by `num_items_in_batch`."""
        labels, rows = inputs["labels"], inputs["rows"]  # (batch, length), (batch,)
        predicting = nn.functional.pad(labels[:, 1:] != IGNORED, (0, 1))  # (batch, length): predicts an answer token
        targets = labels[:, 1:][labels[:, 1:] != IGNORED]  # (answer tokens,)
        if not targets.numel():
            raise StepError(f"no supervised token in the batch of {self._names(rows)}")
        logits = self._logits(model, inputs, predicting)  # (answer tokens, vocabulary)
        loss = F.cross_entropy(logits.float(), targets, reduction="sum") / (num_items_in_batch or targets.numel())
        if not torch.isfinite(loss):
            step = self.state.global_step + 1
            raise StepError(f"the loss is not finite at step {step}, in the batch of {self._names(rows)}")
        self.rows_seen += len(rows)
        return (loss, None) if return_outputs else loss

    def _logits(self, model: nn.Module, inputs: Mapping[str, torch.Tensor], predicting: torch.Tensor) -> torch.Tensor:
        shown = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "use_cache": False}
        if self._sparse_head:
            logits: torch.Tensor = model(**shown, logits_to_keep=predicting).logits
            return logits.reshape(-1, logits.shape[-1])
        full: torch.Tensor = model(**shown).logits
        return full[predicting]

    def _names(self, rows: torch.Tensor) -> str:
        return ", ".join(self.row_ids[index] for index in rows.tolist())


class _Progress(TrainerCallback):
    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._loss = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self._loss = f"loss {logs['loss']:.3f}"
            values = {name: float(logs[name]) for name in CURVES if name in logs}
            self._tell(state.global_step, state.max_steps, self._loss, values)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._tell(state.global_step, state.max_steps, self._loss, None)


def collate(features: Sequence[Mapping[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """Right-padded tensors: input_ids, attention_mask, labels (batch, length), and each row's index (batch,)."""
    length = max(len(feature["input_ids"]) for feature in features)

    def padded(name: str, filler: int) -> torch.Tensor:
        return torch.tensor([list(f[name]) + [filler] * (length - len(f[name])) for f in features])

    ids = padded("input_ids", pad)
    sizes = torch.tensor([[len(feature["input_ids"])] for feature in features])
    mask = (torch.arange(length)[None] < sizes).long()
    rows = torch.tensor([feature["row"] for feature in features])
    return {"input_ids": ids, "attention_mask": mask, "labels": padded("labels", IGNORED), "rows": rows}


def _features(index: int, row: Encoded) -> dict[str, Any]:
    ids = [*row.prompt, *row.answer]
    return {"input_ids": ids, "labels": [IGNORED] * len(row.prompt) + list(row.answer), "row": index}


def _arguments(
    options: TrainingOptions, steps: int, seed: int, device: str, autocast: bool, scratch: Path
) -> TrainingArguments:
    warmup = options.warmup_steps or 0.0
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        learning_rate=options.learning_rate or 0.0,
        per_device_train_batch_size=options.per_device_train_batch_size or 1,
        gradient_accumulation_steps=options.gradient_accumulation_steps or 1,
        lr_scheduler_type=options.lr_scheduler_type or "linear",
        warmup_steps=math.ceil(warmup * steps) if warmup < 1 else int(warmup),
        weight_decay=options.weight_decay or 0.0,
        max_grad_norm=options.max_grad_norm or 1.0,
        train_sampling_strategy="group_by_length",  # rows of like length share a batch: less padding
        bf16=autocast,
        use_cpu=device == "cpu",
        seed=seed,
        data_seed=seed,
        save_strategy="no",
        report_to=[],
        logging_steps=max(1, steps // LOGGED_STEPS),
        logging_nan_inf_filter=False,  # it would show a NaN loss as the mean of the others
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def _check_weights(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not torch.isfinite(parameter).all():
            raise StepError(f"the weight {name} is not finite after training; try a smaller learning_rate")
