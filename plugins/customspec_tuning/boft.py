"""BOFT: rotations of each linear map's inputs, factored into butterflies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, names, refusal, undivided, weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class BoftOptions(TrainingOptions):
    """PEFT's names (BOFTConfig), and the training options."""

    boft_block_size: int = Field(4, ge=2, le=1024)
    """Inputs that are rotated together; must divide the inputs of every targeted linear map."""
    boft_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of blocks left unrotated in a forward pass, in training."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""


class Boft(MergingAdapter):
    """Trains a matrix per block of inputs, whose Cayley transform rotates them, and a factor per output."""

    name = "boft"
    summary = (
        "Rotations like OFT's, in small blocks: one butterfly factor, as many as PEFT has without its CUDA extension. "
        "Try `oft` first. "
        "Liu et al. 2023, Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization."
    )
    options = BoftOptions

    def recipe(self, options: BoftOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # blocks of four turn less by a step than OFT's (`benchmarks.rates`)
        return recipe(options, model, rows, rate=2e-3, wide=4e-4, steps=150)

    def refusal(self, options: BoftOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model, plain=True) or undivided(
            options.target_modules, model, options.boft_block_size, "boft_block_size"
        )

    def trainable_parameters(self, options: BoftOptions, model: ModelHeader) -> int:
        size = options.boft_block_size
        targets = linears(options.target_modules, model)
        return sum(linear.inputs // size * size * size + linear.outputs for linear in targets)

    def footprint(self, options: BoftOptions, model: ModelHeader) -> Footprint:
        # PEFT makes a matrix a map, inputs x inputs: its blocks between two frozen permutations, times the identity
        targets = linears(options.target_modules, model)
        rotation = sum(linear.inputs**2 for linear in targets)
        products = 3 * sum(linear.inputs**3 for linear in targets)
        blocks = options.boft_block_size * sum(linear.inputs for linear in targets)
        kept = 2 * rotation + 4 * blocks  # blocks are kept as Cayley's transform solves for them
        return Footprint(
            adapted=targets,
            per_token=rotation,
            per_pass=products,
            copies=kept / weights(targets),
            kept=sum(linear.inputs for linear in targets),  # rotated, each map's own
            frozen=rotation,
        )

    def adapt(self, options: BoftOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import BOFTConfig

        from customspec.ml.adapters import attach

        _uncompiled()
        return attach(
            model,
            BOFTConfig(
                task_type="CAUSAL_LM",
                target_modules=names(options.target_modules),
                boft_block_size=options.boft_block_size,
                boft_n_butterfly_factor=1,
                boft_dropout=options.boft_dropout,
            ),
        )

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        _uncompiled()
        return super().load(model, folder)


def _uncompiled() -> None:
    """Keep PEFT from building its CUDA extension wherever there is a compiler: minutes, and one factor needs none."""
    from peft.tuners.boft import layer

    layer._FBD_CUDA = False  # type: ignore[assignment]  # it was looked for, and is not there


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Boft()]
