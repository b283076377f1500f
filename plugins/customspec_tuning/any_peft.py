"""Any method that PEFT implements, by its name there, with PEFT's own options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import Text, TrainingOptions
from customspec_tuning.adapter import MergingAdapter
from customspec_tuning.recipes import recipe

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class AnyPeftOptions(TrainingOptions):
    """A method of the installed PEFT, and the training options."""

    method: Text
    """PEFT's name of the method (PeftType), for instance `FOURIERFT` or `C3A`."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Options of the method's configuration, under PEFT's names; checked by the installed PEFT."""


class AnyPeft(MergingAdapter):
    """Whatever the method trains. The number of weights is counted on a model without weights."""

    name = "peft"
    summary = (
        "Any other method of the installed PEFT by its name there, with PEFT's own options, checked before anything "
        "runs. The recipe knows nothing of the method: set the learning rate. "
        "Mangrulkar et al. 2022, PEFT: State-of-the-art Parameter-Efficient Fine-Tuning methods."
    )
    options = AnyPeftOptions

    def recipe(self, options: AnyPeftOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        return recipe(options, model, rows, rate=1e-3, wide=2e-4, steps=150)

    def question(self, options: AnyPeftOptions, model: ModelHeader) -> Mapping[str, Any]:
        return {"method": options.method, "config": options.config, "model": dict(model.config)}

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        from customspec_tuning.ml.methods import look

        return look(**question)

    def refusal(self, options: AnyPeftOptions, model: ModelHeader) -> Refusal | None:
        return None if "trained" in model.told else Refusal(**model.told)

    def trainable_parameters(self, options: AnyPeftOptions, model: ModelHeader) -> int:
        return int(model.told["trained"])

    def adapt(self, options: AnyPeftOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from customspec.ml.adapters import attach
        from customspec_tuning.ml.methods import configuration

        return attach(model, configuration(options.method, options.config))


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [AnyPeft()]
