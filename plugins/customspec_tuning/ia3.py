"""IA3: learned vectors that rescale what linear maps put out, or what the last of a block takes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions
from customspec_tuning.adapter import BesideQuantized, MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, is_targeted, linears, refusal

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

# under these names, in the architectures that transformers has
_LAST = (".down_proj", ".fc2", ".dense_4h_to_h", ".fc_out", ".w2", ".wo", ".mlp.c_proj")


class Ia3Options(TrainingOptions):
    """PEFT's names (IA3Config), and the training options."""

    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""


class Ia3(BesideQuantized, MergingAdapter):
    """Trains a factor for each output of a targeted linear map; for each input of a feed-forward block's last map."""

    name = "ia3"
    summary = (
        "Learned factors on activations: a fraction of LoRA's parameters, and no cost once merged. Wants a much "
        "higher learning rate than LoRA. Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and "
        "Cheaper than In-Context Learning."
    )
    options = Ia3Options

    def recipe(self, options: Ia3Options, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # PEFT's comparison of methods: 31 % at 1e-4, 40 % at 1e-3, 45 % at 5e-3 on more maps
        return recipe(options, model, rows, rate=1e-2, wide=5e-3, steps=200)

    def refusal(self, options: Ia3Options, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model)

    def trainable_parameters(self, options: Ia3Options, model: ModelHeader) -> int:
        targets = linears(options.target_modules, model)
        return sum(linear.inputs if _closes_a_block(linear.name) else linear.outputs for linear in targets)

    def footprint(self, options: Ia3Options, model: ModelHeader) -> Footprint:
        targets = linears(options.target_modules, model)
        # what is scaled is kept in place of the inputs: the outputs, or the inputs of a block's last map
        return Footprint(adapted=targets, kept=0.6 * sum(linear.outputs for linear in targets))

    def adapt(self, options: Ia3Options, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import IA3Config

        from customspec.ml.adapters import attach, linear_names

        # whole names: `c_proj` alone does not tell whether it closes a block
        modules = [name for name in linear_names(model) if is_targeted(name, options.target_modules)]
        return attach(
            model,
            IA3Config(
                task_type="CAUSAL_LM",
                target_modules=modules,
                feedforward_modules=[name for name in modules if _closes_a_block(name)],
            ),
        )


def _closes_a_block(name: str) -> bool:
    """Whether a map, by its whole name, is the last of a feed-forward block, whose inputs the paper rescales."""
    return f".{name}".endswith(_LAST)


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Ia3()]
