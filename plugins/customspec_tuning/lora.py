"""LoRA: a low-rank update beside each frozen linear map, W + (alpha / r) B A."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from customspec.header import Linear, ModelHeader
from customspec.hookspecs import Refusal, TuningTechnique, hookimpl
from customspec.spec import Texts, TrainingOptions
from customspec.suggest import closest

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

ALL_LINEAR: Literal["all-linear"] = "all-linear"


class LoraOptions(TrainingOptions):
    """PEFT's names (LoraConfig), and the training options."""

    r: int = Field(8, ge=1, le=4096)
    """Rank of the update."""
    lora_alpha: int | None = Field(None, ge=1, le=100_000)
    """Scale of the update, alpha / r. Absent: twice the rank."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the update, in training."""
    target_modules: Texts | Literal["all-linear"] = ALL_LINEAR
    """Linear modules that get an update: the ends of their names, or `all-linear` (all but the output head)."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(r) instead (Kalajdzievski 2023), which keeps large ranks stable."""


class Lora:
    """Trains A (r x inputs, random) and B (outputs x r, zero) of each targeted linear map; the base stays frozen."""

    name = "lora"
    family: Literal["tuning"] = "tuning"
    summary = (
        "A low-rank update beside frozen linear maps. The usual first choice for tuning: near full fine-tuning's "
        "quality at a small share of its memory, and a small artifact. "
        "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models."
    )
    options = LoraOptions

    def recipe(self, options: LoraOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        return {
            "lora_alpha": 2 * options.r,
            # ten times full fine-tuning's rate and more: Schulman et al. 2025, LoRA Without Regret
            "learning_rate": 1e-3 if model.hidden_size <= 1024 else 2e-4,
            "num_train_epochs": 3.0,
            "per_device_train_batch_size": 8,
            "lr_scheduler_type": "linear",
            "warmup_steps": 0.03,
            "weight_decay": 0.0,
        }

    def refusal(self, options: LoraOptions, model: ModelHeader) -> Refusal | None:
        if not isinstance(options.target_modules, str):
            for index, name in enumerate(options.target_modules):
                if not _matching(name, model):
                    return _no_match(name, index, model)
        return _rank_refusal(options, model)

    def trainable_parameters(self, options: LoraOptions, model: ModelHeader) -> int:
        return sum(options.r * (linear.inputs + linear.outputs) for linear in _targets(options, model))

    def adapt(self, options: LoraOptions, model: PreTrainedModel) -> nn.Module:
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
            ),
        )

    def save(self, model: nn.Module, folder: Path) -> None:
        from customspec.ml.adapters import save

        save(model, folder)

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        from customspec.ml.adapters import load

        return load(model, folder)


def _matching(name: str, model: ModelHeader) -> list[Linear]:
    """PEFT's rule: a module is targeted by its whole name or by its end, from a dot on."""
    return [linear for linear in model.linears if linear.name == name or linear.name.endswith(f".{name}")]


def _targets(options: LoraOptions, model: ModelHeader) -> list[Linear]:
    if isinstance(options.target_modules, str):
        return list(model.linears)
    found = {linear.name: linear for name in options.target_modules for linear in _matching(name, model)}
    return list(found.values())


def _no_match(name: str, index: int, model: ModelHeader) -> Refusal:
    known = sorted({linear.name.rsplit(".", 1)[-1] for linear in model.linears})
    nearest = closest(name, known)
    return Refusal(
        f"no linear module of {model.architecture} matches `{name}`",
        option="target_modules",
        item=index,
        hint=f"did you mean `{nearest}`?" if nearest else f"it has: {', '.join(known)}",
    )


def _rank_refusal(options: LoraOptions, model: ModelHeader) -> Refusal | None:
    smallest = min((min(linear.inputs, linear.outputs) for linear in _targets(options, model)), default=0)
    if not smallest:
        return Refusal(f"{model.architecture} has no linear module to take")
    if options.r <= smallest:
        return None
    return Refusal(f"rank {options.r} exceeds the smallest targeted dimension, {smallest}", option="r")


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Lora()]
