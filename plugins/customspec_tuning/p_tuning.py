"""P-tuning: learned vectors before the prompt, made by a small recurrent encoder that is thrown away afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Rule, Task, TuningTechnique, hookimpl
from customspec.spec import Text, TrainingOptions
from customspec_tuning.adapter import BesideQuantized, PeftAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.soft_prompts import pieces

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PTuningOptions(TrainingOptions):
    """PEFT's names (PromptEncoderConfig), and the training options."""

    num_virtual_tokens: int = Field(20, ge=1, le=4096)
    """Learned vectors before the prompt."""
    encoder_reparameterization_type: Literal["LSTM", "MLP"] = "LSTM"
    """What makes the vectors in training: the paper's bidirectional LSTM, or a perceptron."""
    encoder_hidden_size: int = Field(128, ge=1, le=65_536)
    """Hidden units of the encoder. At the model's own width the encoder outgrows the adapter many times."""
    encoder_num_layers: int = Field(2, ge=1, le=16)
    """Layers of the LSTM; the perceptron always has three."""
    encoder_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout between the LSTM's layers, in training."""
    init_text: Text | None = None
    """The text whose embeddings the vectors begin at. Absent: the task's own answers, instruction and first rows."""


class PTuning(BesideQuantized, PeftAdapter):
    """Trains the encoder and its inputs; the artifact is the vectors that come out."""

    name = "p_tuning"
    summary = (
        "Learned vectors before the prompt, tied to one another by an LSTM while they are trained. An artifact of some "
        "KiB like prompt tuning's; the encoder steadies training. Liu et al. 2021, GPT Understands, Too."
    )
    options = PTuningOptions
    rules = (
        Rule(
            "input_prompts_want_size",
            "the base has fewer than 1 billion parameters",
            lambda facts, rung: facts.smaller_than(1),
            "mind",
            "learned input alone falls behind on bases below 10 billion parameters; prefix tuning reaches every layer",
            "Liu et al. 2022, P-Tuning v2",
        ),
    )

    def recipe(self, options: PTuningOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # small: at which the vectors go about as far in 25 steps as under prompt tuning: `benchmarks.rates`
        return recipe(options, model, rows, rate=1e-4, wide=3e-5, steps=500, most=20, patience=6)

    def refusal(self, options: PTuningOptions, model: ModelHeader) -> Refusal | None:
        return None

    def trainable_parameters(self, options: PTuningOptions, model: ModelHeader) -> int:
        width, hidden = model.hidden_size, options.encoder_hidden_size
        inputs = options.num_virtual_tokens * width
        if options.encoder_reparameterization_type == "MLP":
            return inputs + _dense(width, hidden) + _dense(hidden, hidden) + _dense(hidden, width)
        # both directions of a layer: four gates each, with weights from the input and from before, and two biases
        sizes = [width] + [2 * hidden] * (options.encoder_num_layers - 1)
        lstm = sum(2 * 4 * hidden * (size + hidden + 2) for size in sizes)
        return inputs + lstm + _dense(2 * hidden, 2 * hidden) + _dense(2 * hidden, width)

    def footprint(self, options: PTuningOptions, model: ModelHeader) -> Footprint:
        count = options.num_virtual_tokens
        return Footprint(virtual_tokens=count, saved=count * model.hidden_size)

    def adapt(self, options: PTuningOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import PromptEncoderConfig

        from customspec.ml.adapters import attach
        from customspec_tuning.ml.soft_prompts import embeddings_of, steer_encoder

        adapted = attach(
            model,
            PromptEncoderConfig(
                task_type="CAUSAL_LM",
                num_virtual_tokens=options.num_virtual_tokens,
                encoder_reparameterization_type=options.encoder_reparameterization_type,
                encoder_hidden_size=options.encoder_hidden_size,
                encoder_num_layers=options.encoder_num_layers,
                encoder_dropout=options.encoder_dropout,
            ),
        )
        steer_encoder(adapted, embeddings_of(adapted, pieces(task, options.init_text, options.num_virtual_tokens)))
        return adapted


def _dense(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [PTuning()]
