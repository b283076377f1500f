"""Full fine-tuning: every weight of the model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from customspec.header import ModelHeader
from customspec.hookspecs import Refusal, Rule, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.recipes import recipe

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
    rules = (
        Rule(
            "full_after_lora",
            "there are fewer than 10,000 training rows",
            lambda facts, rung: facts.train_rows < 10_000,
            "mind",
            "on {facts.train_rows} rows LoRA is not expected to fall behind, and leaves a small artifact: after LoRA, "
            "if that falls short",
            "Schulman et al. 2025, LoRA Without Regret; Biderman et al. 2024, LoRA Learns Less and Forgets Less",
        ),
    )

    def recipe(self, options: FullOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # small models take larger steps; 1e-5 and less from 10^9 parameters on (Ouyang et al. 2022, appendix C.1)
        return recipe(options, model, rows, rate=1e-4, wide=1e-5, steps=150, most=10)

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
