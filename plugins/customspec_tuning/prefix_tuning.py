"""Prefix tuning: learned keys and values before the first token, in every attention layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Rule, Task, TuningTechnique, hookimpl
from customspec.spec import Text, TrainingOptions, UnfitError
from customspec_tuning.adapter import BesideQuantized, PeftAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.soft_prompts import tokens

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PrefixTuningOptions(TrainingOptions):
    """PEFT's names (PrefixTuningConfig), and the training options."""

    num_virtual_tokens: int = Field(30, ge=1, le=4096)
    """Learned keys and values before the first token."""
    init_weights: Literal["text", "zero", "random"] | None = None
    """Where they begin: at a text's own keys and values, at zero, or at random numbers. Absent: at a text's; with
    `prefix_projection` at random numbers."""
    init_text: Text | None = None
    """The text to begin from, repeated or cut to the number of virtual tokens. Absent: the task's own answers,
    instruction and first rows."""
    prefix_projection: bool = False
    """Make them by a perceptron in training, as the paper does."""
    encoder_hidden_size: int = Field(128, ge=1, le=65_536)
    """Hidden units of that perceptron."""

    @model_validator(mode="after")
    def _text_needs_no_projection(self) -> PrefixTuningOptions:
        if self.prefix_projection and self.init_weights == "text":
            message = "`init_weights: text` sets keys and values themselves, which `prefix_projection` makes"
            raise UnfitError(message, "remove one of the two")
        if self.init_text is not None and _beginning(self) != "text":
            message = "`init_text` is for `init_weights: text`; here the keys and values begin elsewhere"
            other = "prefix_projection" if self.prefix_projection else "init_weights"
            raise UnfitError(message, f"remove it, or remove `{other}`")
        return self


class PrefixTuning(BesideQuantized, PeftAdapter):
    """Trains a key and a value per virtual token, layer and key-value head."""

    name = "prefix_tuning"
    summary = (
        "Learned keys and values before the first token, in every layer; the model stays frozen. Stronger than prompt "
        "tuning, and costs nothing but cache at a request. "
        "Li and Liang 2021, Prefix-Tuning: Optimizing Continuous Prompts for Generation."
    )
    options = PrefixTuningOptions
    rules = (
        Rule(
            "prefixes_suit_few_rows",
            "there are 50 to 499 training rows",
            lambda facts, rung: 50 <= facts.train_rows < 500,
            "try",
            "with some hundred rows a prefix does as well as full fine-tuning or better",
            "Li and Liang 2021, Prefix-Tuning",
        ),
    )

    def recipe(self, options: PrefixTuningOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # PEFT's comparison of methods: 42 % at 5e-3 from a text's keys and values, 19 % at 1e-3 from random ones, on 3B
        # after 5000 steps; with a twentieth of them a small model's keys, 2 large, must move by a percent a step
        begin = {"init_weights": _beginning(options)}
        return {**begin, **recipe(options, model, rows, rate=2e-2, wide=5e-3, steps=250, most=20, patience=6)}

    def refusal(self, options: PrefixTuningOptions, model: ModelHeader) -> Refusal | None:
        if _attends(model):
            return None
        message = f"{model.architecture} has no attention for a prefix to go into"
        return Refusal(message, hint="`prompt_tuning` needs none")

    def trainable_parameters(self, options: PrefixTuningOptions, model: ModelHeader) -> int:
        width = model.key_width
        if not options.prefix_projection:
            return options.num_virtual_tokens * 2 * model.layers * width
        hidden = options.encoder_hidden_size
        return options.num_virtual_tokens * width + (width + 1) * hidden + (hidden + 1) * 2 * model.layers * width

    def footprint(self, options: PrefixTuningOptions, model: ModelHeader) -> Footprint:
        count = options.num_virtual_tokens
        return Footprint(prefix_tokens=count, saved=count * 2 * model.layers * model.key_width)

    def adapt(self, options: PrefixTuningOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import PrefixTuningConfig

        from customspec.ml.adapters import attach
        from customspec_tuning.ml.soft_prompts import set_prefix

        adapted = attach(
            model,
            PrefixTuningConfig(
                task_type="CAUSAL_LM",
                num_virtual_tokens=options.num_virtual_tokens,
                prefix_projection=options.prefix_projection,
                encoder_hidden_size=options.encoder_hidden_size,
                init_weights="zero" if _beginning(options) == "zero" else None,
            ),
        )
        if _beginning(options) == "text":
            set_prefix(adapted, tokens(task, options.init_text, options.num_virtual_tokens))
        return adapted


def _beginning(options: PrefixTuningOptions) -> str:
    return options.init_weights or ("random" if options.prefix_projection else "text")


def _attends(model: ModelHeader) -> bool:
    """Whether every layer has keys and values; state-space and recurrent layers keep a state instead."""
    recurrent = ("A_log", "conv1d", "time_decay")
    stateful = any(part in name for part in recurrent for name in model.parameters)
    return not stateful and any("attn" in name or "attention" in name for name in model.parameters)


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [PrefixTuning()]
