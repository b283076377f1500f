"""LoKr: an update that is a Kronecker product of a small and a low-rank matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from customspec.header import Linear, ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, made_whole, names, refusal

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class LokrOptions(TrainingOptions):
    """PEFT's names (LoKrConfig), and the training options."""

    r: int = Field(16, ge=1, le=4096)
    """Rank of the larger factor."""
    alpha: int | None = Field(None, ge=1, le=100_000)
    """Scale of the update, alpha / r. Absent: twice the rank."""
    decompose_factor: Annotated[int, Field(ge=1, le=65_536)] | Literal[-1] = 4
    """Size of the smaller factor; -1: near the square root of each dimension, the fewest parameters."""
    decompose_both: bool = False
    """Make the smaller factor low-rank, too."""
    module_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of updates left out of a forward pass, in training."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""


class Lokr(MergingAdapter):
    """Trains the factors of each targeted linear map's update, (alpha / r) C x (B A), x the Kronecker product."""

    name = "lokr"
    summary = (
        "The Kronecker product of a small matrix and a low-rank one: fewer parameters than LoRA at a higher rank. "
        "Edalati et al. 2022, KronA; Yeh et al. 2023, LyCORIS."
    )
    options = LokrOptions

    def recipe(self, options: LokrOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # PEFT's comparison of methods: 47 % at factor 4 and 3e-3
        return recipe(options, model, rows, rate=3e-3, wide=3e-3, steps=150)

    def refusal(self, options: LokrOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model, plain=True)

    def trainable_parameters(self, options: LokrOptions, model: ModelHeader) -> int:
        return sum(_size(options, linear) for linear in linears(options.target_modules, model))

    def footprint(self, options: LokrOptions, model: ModelHeader) -> Footprint:
        return made_whole(linears(options.target_modules, model))

    def adapt(self, options: LokrOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import LoKrConfig

        from customspec.ml.adapters import attach

        return attach(
            model,
            LoKrConfig(
                task_type="CAUSAL_LM",
                target_modules=names(options.target_modules),
                r=options.r,
                alpha=options.alpha or 2 * options.r,
                decompose_factor=options.decompose_factor,
                decompose_both=options.decompose_both,
                module_dropout=options.module_dropout,
            ),
        )


def _size(options: LokrOptions, linear: Linear) -> int:
    """Numbers in both factors: a factor is whole where its rank would not make it smaller."""
    (out_small, out_large), (in_small, in_large) = (
        _divided(length, options.decompose_factor) for length in (linear.outputs, linear.inputs)
    )
    small = _factor(out_small, in_small, options.r if options.decompose_both else None)
    return small + _factor(out_large, in_large, options.r)


def _factor(rows: int, columns: int, rank: int | None) -> int:
    low = rank is not None and rank < max(rows, columns) / 2
    return (rank or 0) * (rows + columns) if low else rows * columns


def _divided(length: int, factor: int) -> tuple[int, int]:
    """PEFT's rule: by the factor where it divides, else the most even division whose smaller part is no larger."""
    if factor > 0 and length % factor == 0:
        return factor, length // factor
    most = length if factor == -1 else factor
    small = max(part for part in range(1, isqrt(length) + 1) if length % part == 0 and part <= most)
    return small, length // small


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Lokr()]
