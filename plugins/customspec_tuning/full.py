"""Full fine-tuning: every weight of the model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from customspec.header import ModelHeader
from customspec.hookspecs import Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.recipes import epochs, waiting

if TYPE_CHECKING:
    from torch import device, dtype, nn
    from transformers import PreTrainedModel


class FullOptions(TrainingOptions):
    """The training options alone."""


class Full:
    """Trains float32 master weights; the artifact is the whole model in the compute type."""

    name = "full"
    family: Literal["tuning"] = "tuning"
    summary = (
        "Every weight is trained. The most capacity, the most memory (16 bytes a parameter) and an artifact as large "
        "as the model: the top of the ladder. Howard and Ruder 2018, Universal Language Model Fine-tuning."
    )
    options = FullOptions

    def recipe(self, options: FullOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # eight rows a step, in two halves: activations take as much memory as gradients otherwise
        batch = options.per_device_train_batch_size or 4
        halves = options.gradient_accumulation_steps or max(1, 8 // batch)
        passes = epochs(rows, batch=batch * halves, steps=150, most=10)
        return {
            # small models take larger steps; 1e-5 and less from 10^9 parameters on (Ouyang et al. 2022, appendix C.1)
            "learning_rate": 1e-4 if model.total_parameters < 500_000_000 else 1e-5,
            "num_train_epochs": passes,
            "per_device_train_batch_size": batch,
            "gradient_accumulation_steps": halves,
            "early_stopping_patience": waiting(options, rows, batch=batch * halves, passes=passes, tenths=4),
            "lr_scheduler_type": "linear",
            "warmup_steps": 0.03,
            "weight_decay": 0.0,
        }

    def refusal(self, options: FullOptions, model: ModelHeader) -> Refusal | None:
        return None

    def trainable_parameters(self, options: FullOptions, model: ModelHeader) -> int:
        return model.total_parameters

    def adapt(self, options: FullOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        # bfloat16 masters lose small updates: 8 bits of mantissa round them away
        model.float()
        model.requires_grad_(True)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        from customspec.ml.models import save_whole

        save_whole(model, folder)

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        return self.open_whole(folder, model.dtype, model.device)

    def open_whole(self, folder: Path, dtype: dtype, device: device | str) -> nn.Module:
        from customspec.ml.models import load_model

        return load_model(folder, dtype, device)


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Full()]
