"""VeRA: two learned vectors around a pair of random, frozen, shared projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import BesideQuantized, MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, names, refusal

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class VeraOptions(TrainingOptions):
    """PEFT's names (VeraConfig), and the training options."""

    r: int = Field(256, ge=1, le=65_536)
    """Rank of the shared random projections; large, since they are not trained."""
    vera_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the projections, in training."""
    d_initial: float = Field(0.1, gt=0, le=10)
    """Where the inner vector begins."""
    projection_prng_key: int = Field(0, ge=0, le=2**31 - 1)
    """Seed of the random projections."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""


class Vera(BesideQuantized, MergingAdapter):
    """Trains d (r) and b (outputs) of each targeted linear map, W + diag(b) B diag(d) A, with A and B frozen."""

    name = "vera"
    summary = (
        "Two learned vectors per linear map around shared random projections: a tenth of LoRA's parameters or less. "
        "The artifact holds the projections, too, so that any PEFT can read it. "
        "Kopiczko et al. 2023, VeRA: Vector-based Random Matrix Adaptation."
    )
    options = VeraOptions

    def recipe(self, options: VeraOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # the paper's: ten times LoRA's and more; `benchmarks.rates`: at twenty times a layer moves as under LoRA
        return recipe(options, model, rows, rate=2e-2, wide=4e-3, steps=200)

    def refusal(self, options: VeraOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model)

    def trainable_parameters(self, options: VeraOptions, model: ModelHeader) -> int:
        return sum(options.r + linear.outputs for linear in linears(options.target_modules, model))

    def footprint(self, options: VeraOptions, model: ModelHeader) -> Footprint:
        targets = linears(options.target_modules, model)
        # one pair for all maps, as wide as the widest
        projections = options.r * (max(one.inputs for one in targets) + max(one.outputs for one in targets))
        return Footprint(
            adapted=targets,
            per_token=options.r * sum(linear.inputs + linear.outputs for linear in targets),
            # the outputs, scaled; not the inputs, which LoRA keeps
            kept=sum(linear.outputs for linear in targets) / 2,
            frozen=projections,
            saved=self.trainable_parameters(options, model) + projections,
        )

    def adapt(self, options: VeraOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import VeraConfig

        from customspec.ml.adapters import attach

        return attach(
            model,
            VeraConfig(
                task_type="CAUSAL_LM",
                target_modules=names(options.target_modules),
                r=options.r,
                vera_dropout=options.vera_dropout,
                d_initial=options.d_initial,
                projection_prng_key=options.projection_prng_key,
                save_projection=True,  # a generator may draw other numbers elsewhere
            ),
        )


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Vera()]
