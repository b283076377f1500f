"""Prompt tuning: a few learned vectors stand before the prompt; the model itself stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Rule, Task, TuningTechnique, hookimpl
from customspec.spec import Text, TrainingOptions, UnfitError
from customspec_tuning.adapter import BesideQuantized, PeftAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.soft_prompts import pieces

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PromptTuningOptions(TrainingOptions):
    """PEFT's names (PromptTuningConfig), and the training options."""

    num_virtual_tokens: int = Field(20, ge=1, le=4096)
    """Learned vectors before the prompt."""
    prompt_tuning_init: Literal["TEXT", "SAMPLE_VOCAB", "RANDOM"] = "TEXT"
    """Where the vectors begin: at the embeddings of a text, of random tokens, or at random numbers."""
    prompt_tuning_init_text: Text | None = None
    """The text to begin from, repeated or cut to the number of vectors. Absent: the task's own answers,
    instruction and first rows."""

    @model_validator(mode="after")
    def _text_is_begun_from(self) -> PromptTuningOptions:
        if self.prompt_tuning_init_text is not None and self.prompt_tuning_init != "TEXT":
            message = "`prompt_tuning_init_text` is for `prompt_tuning_init: TEXT`"
            raise UnfitError(message, "remove it, or write `prompt_tuning_init: TEXT`")
        return self


class PromptTuning(BesideQuantized, PeftAdapter):
    """Trains `num_virtual_tokens` input embeddings."""

    name = "prompt_tuning"
    summary = (
        "A few learned vectors before the prompt, everything else frozen. The smallest artifact (some KiB), and many "
        "tasks can share one model; needs more steps than LoRA. "
        "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning."
    )
    options = PromptTuningOptions
    rules = (
        Rule(
            "soft_prompts_want_size",
            "the base has fewer than 1 billion parameters",
            lambda facts, rung: facts.smaller_than(1),
            "skip",
            "prompt tuning comes near to tuning the model from billions of parameters on; this base has "
            "{facts.parameters:,}",
            "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning",
        ),
    )

    def recipe(self, options: PromptTuningOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # wide: PEFT's comparison of methods, 34 % at 1e-3 from real embeddings, 6 % at 1e-4 from random ones, on 3B;
        # small: ours, tried on SmolLM2-135M, whose embeddings are 0.14 large
        return recipe(options, model, rows, rate=6e-2, wide=1e-3, steps=500, most=20, patience=6)

    def refusal(self, options: PromptTuningOptions, model: ModelHeader) -> Refusal | None:
        return None

    def trainable_parameters(self, options: PromptTuningOptions, model: ModelHeader) -> int:
        return options.num_virtual_tokens * model.hidden_size

    def footprint(self, options: PromptTuningOptions, model: ModelHeader) -> Footprint:
        return Footprint(virtual_tokens=options.num_virtual_tokens)

    def adapt(self, options: PromptTuningOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import PromptTuningConfig

        from customspec.ml.adapters import attach
        from customspec_tuning.ml.soft_prompts import embeddings_of, set_prompt

        random = options.prompt_tuning_init == "RANDOM"
        adapted = attach(
            model,
            PromptTuningConfig(
                task_type="CAUSAL_LM",
                num_virtual_tokens=options.num_virtual_tokens,
                prompt_tuning_init="RANDOM" if random else "SAMPLE_VOCAB",
            ),
        )
        if options.prompt_tuning_init == "TEXT":
            begin = pieces(task, options.prompt_tuning_init_text, options.num_virtual_tokens)
            set_prompt(adapted, embeddings_of(adapted, begin))
        return adapted


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [PromptTuning()]
