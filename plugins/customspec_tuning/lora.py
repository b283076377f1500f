"""LoRA: a low-rank update beside each frozen linear map, W + (alpha / r) B A."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import PeftAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, refusal

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class LoraOptions(TrainingOptions):
    """PEFT's names (LoraConfig), and the training options."""

    r: int = Field(8, ge=1, le=4096)
    """Rank of the update."""
    lora_alpha: int | None = Field(None, ge=1, le=100_000)
    """Scale of the update, alpha / r. Absent: twice the rank."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the update, in training."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules that get an update: the ends of their names, or `all-linear` (all but the output head)."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(r) instead (Kalajdzievski 2023), which keeps large ranks stable."""
    use_dora: bool = False
    """Train the magnitude of each output apart from the direction (DoRA, Liu et al. 2024)."""


class Lora(PeftAdapter):
    """Trains A (r x inputs, random) and B (outputs x r, zero) of each targeted linear map; the base stays frozen."""

    name = "lora"
    summary = (
        "A low-rank update beside frozen linear maps. The usual first choice for tuning: near full fine-tuning's "
        "quality at a small share of its memory, and a small artifact. "
        "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models."
    )
    options = LoraOptions

    def recipe(self, options: LoraOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # ten times full fine-tuning's rate and more: Schulman et al. 2025, LoRA Without Regret
        return {"lora_alpha": 2 * options.r, **recipe(options, model, rows, rate=1e-3, wide=2e-4, steps=120, most=10)}

    def refusal(self, options: LoraOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model) or self._rank_refusal(options, model)

    def trainable_parameters(self, options: LoraOptions, model: ModelHeader) -> int:
        targets = linears(options.target_modules, model)
        magnitudes = sum(linear.outputs for linear in targets) if options.use_dora else 0
        return magnitudes + sum(options.r * (linear.inputs + linear.outputs) for linear in targets)

    def adapt(self, options: LoraOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import LoraConfig

        from customspec.ml.adapters import attach

        targets = options.target_modules
        assert options.lora_alpha is not None  # the recipe fills it
        return attach(
            model,
            LoraConfig(
                task_type="CAUSAL_LM",
                r=options.r,
                lora_alpha=options.lora_alpha,
                lora_dropout=options.lora_dropout,
                target_modules=targets if isinstance(targets, str) else list(targets),
                use_rslora=options.use_rslora,
                use_dora=options.use_dora,
            ),
        )

    def _rank_refusal(self, options: LoraOptions, model: ModelHeader) -> Refusal | None:
        smallest = min(min(linear.inputs, linear.outputs) for linear in linears(options.target_modules, model))
        if options.r <= smallest:
            return None
        return Refusal(f"rank {options.r} exceeds the smallest targeted dimension, {smallest}", option="r")


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Lora()]
