"""LoHa: the product, number by number, of two low-rank updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, made_whole, names, refusal, weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class LohaOptions(TrainingOptions):
    """PEFT's names (LoHaConfig), and the training options."""

    r: int = Field(8, ge=1, le=4096)
    """Rank of each of the two factors; their product has rank up to r squared."""
    alpha: int | None = Field(None, ge=1, le=100_000)
    """Scale of the update, alpha / r. Absent: twice the rank."""
    module_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of updates left out of a forward pass, in training."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""


class Loha(MergingAdapter):
    """Trains A1, B1, A2, B2 of each targeted linear map, W + (alpha / r) (B1 A1) * (B2 A2)."""

    name = "loha"
    summary = (
        "The Hadamard product of two low-rank updates: a rank of r squared for twice LoRA's parameters. "
        "Hyeon-Woo et al. 2021, FedPara; Yeh et al. 2023, LyCORIS."
    )
    options = LohaOptions

    def recipe(self, options: LohaOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # the update is a product of four factors: slow at first, then faster than LoRA's (`benchmarks.rates`)
        return recipe(options, model, rows, rate=3e-3, wide=6e-4, steps=150)

    def refusal(self, options: LohaOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model, plain=True)

    def trainable_parameters(self, options: LohaOptions, model: ModelHeader) -> int:
        return sum(
            2 * options.r * (linear.inputs + linear.outputs) for linear in linears(options.target_modules, model)
        )

    def footprint(self, options: LohaOptions, model: ModelHeader) -> Footprint:
        targets = linears(options.target_modules, model)
        return made_whole(targets, per_pass=2 * options.r * weights(targets))

    def adapt(self, options: LohaOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import LoHaConfig

        from customspec.ml.adapters import attach

        return attach(
            model,
            LoHaConfig(
                task_type="CAUSAL_LM",
                target_modules=names(options.target_modules),
                r=options.r,
                alpha=options.alpha or 2 * options.r,
                module_dropout=options.module_dropout,
            ),
        )


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Loha()]
