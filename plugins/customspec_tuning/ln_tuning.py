"""LN tuning: only the normalization layers are trained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import BesideQuantized, MergingAdapter
from customspec_tuning.recipes import recipe

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

# transformers' architectures call them input_layernorm, ln_1, q_norm, norm_f, ...
_NORMALIZATION = re.compile(r"(^|_)(ln|norm|layernorm|layer_norm)(_|\d|$)|norm$")


class LnTuningOptions(TrainingOptions):
    """The training options alone: every normalization layer is trained."""


class LnTuning(BesideQuantized, MergingAdapter):
    """Trains the weight, and the bias where there is one, of each normalization layer."""

    name = "ln_tuning"
    summary = (
        "The normalization layers alone: less than a thousandth of the weights, and no new module. A cheap probe "
        "of whether rescaling is enough. Zhao et al. 2023, Tuning LayerNorm in Attention: Towards Efficient "
        "Multi-Modal LLM Finetuning."
    )
    options = LnTuningOptions

    def recipe(self, options: LnTuningOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # a weight is a factor near one: a step of a hundredth changes it by a percent
        return recipe(options, model, rows, rate=1e-2, wide=3e-3, steps=200)

    def refusal(self, options: LnTuningOptions, model: ModelHeader) -> Refusal | None:
        if _layers(model):
            return None
        return Refusal(f"{model.architecture} has no normalization layer with weights", hint="`lora` can take it")

    def trainable_parameters(self, options: LnTuningOptions, model: ModelHeader) -> int:
        layers = set(_layers(model))
        return sum(prod(shape) for name, shape in model.parameters.items() if name.rpartition(".")[0] in layers)

    def footprint(self, options: LnTuningOptions, model: ModelHeader) -> Footprint:
        return Footprint()  # normalizations keep what they read, trained or frozen, and multiply number by number

    def adapt(self, options: LnTuningOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import LNTuningConfig

        from customspec.ml.adapters import attach

        layers = [name for name, module in model.named_modules() if _is_normalization(name, module)]
        adapted = attach(model, LNTuningConfig(task_type="CAUSAL_LM", target_modules=layers))
        for parameter in adapted.parameters():
            if parameter.requires_grad:  # PEFT leaves the copies in the base's type; bfloat16 loses small updates
                parameter.data = parameter.data.float()
        return adapted

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        for name, module in model.named_modules():
            if _is_normalization(name, module):  # PEFT copies them as they are, and would round what was learned
                module.float()
        return super().load(model, folder)


def _layers(model: ModelHeader) -> list[str]:
    """Modules whose name says so and that hold vectors only."""
    vectors = {name.rpartition(".")[0] for name, shape in model.parameters.items() if len(shape) == 1}
    return sorted(module for module in vectors if _NORMALIZATION.search(module.rsplit(".", 1)[-1].lower()))


def _is_normalization(name: str, module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return bool(own) and bool(_NORMALIZATION.search(name.rsplit(".", 1)[-1].lower()))


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [LnTuning()]
