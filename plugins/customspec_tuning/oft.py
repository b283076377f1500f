"""OFT: learned rotations of what goes into each linear map, in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import BesideQuantized, MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, names, refusal, undivided, weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class OftOptions(TrainingOptions):
    """PEFT's names (OFTConfig), and the training options."""

    oft_block_size: int = Field(32, ge=2, le=8192)
    """Inputs that are rotated together; must divide the inputs of every targeted linear map."""
    module_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of blocks left unrotated in a forward pass, in training."""
    coft: bool = False
    """Keep the rotations near the identity (constrained OFT)."""
    block_share: bool = False
    """One rotation for all blocks of a linear map."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""


class Oft(BesideQuantized, MergingAdapter):
    """Trains a skew-symmetric matrix per block of inputs, whose Cayley transform rotates them; the angles stay."""

    name = "oft"
    summary = (
        "Rotations of each linear map's inputs, which nearly keep the angles between its weights: forgets little. "
        "As good as LoRA at like size, some slower. Qiu et al. 2023, Controlling Text-to-Image Diffusion by Orthogonal "
        "Finetuning."
    )
    options = OftOptions

    def recipe(self, options: OftOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # a step turns every block of inputs at once: at LoRA's rate a layer moves many times as fast as under LoRA
        # (`benchmarks.rates`); 49 % at 1e-4 on 3B in PEFT's comparison of methods
        return recipe(options, model, rows, rate=5e-4, wide=1e-4, steps=150)

    def refusal(self, options: OftOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model, plain=True) or undivided(
            options.target_modules, model, options.oft_block_size, "oft_block_size"
        )

    def trainable_parameters(self, options: OftOptions, model: ModelHeader) -> int:
        free = options.oft_block_size * (options.oft_block_size - 1) // 2
        targets = linears(options.target_modules, model)
        return sum(free * (1 if options.block_share else linear.inputs // options.oft_block_size) for linear in targets)

    def footprint(self, options: OftOptions, model: ModelHeader) -> Footprint:
        size, targets = options.oft_block_size, linears(options.target_modules, model)
        rotated = size * sum(linear.inputs for linear in targets)
        made = len(targets) * size**2 if options.block_share else rotated
        # a rotation is a sum of powers of what trains: three products, which keep a matrix each beside the rotation
        kept = rotated + 3 * made
        return Footprint(adapted=targets, per_token=rotated, per_pass=3 * size * made, copies=kept / weights(targets))

    def adapt(self, options: OftOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import OFTConfig

        from customspec.ml.adapters import attach

        return attach(
            model,
            OFTConfig(
                task_type="CAUSAL_LM",
                target_modules=names(options.target_modules),
                r=0,
                oft_block_size=options.oft_block_size,
                module_dropout=options.module_dropout,
                coft=options.coft,
                block_share=options.block_share,
            ),
        )


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Oft()]
