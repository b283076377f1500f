"""LoRA: a low-rank update beside each frozen linear map, W + (alpha / r) B A."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Refusal, Rule, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions, UnfitError
from customspec_tuning.adapter import BesideQuantized, MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, names, refusal, weights

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn
    from torch.optim import Optimizer
    from transformers import PreTrainedModel

MOVING = ("pissa", "olora")  # beginnings that take B A out of the base


class LoraOptions(TrainingOptions):
    """PEFT's names (LoraConfig), and the training options."""

    r: int = Field(8, ge=1, le=4096)
    """Rank of the update."""
    lora_alpha: int | None = Field(None, ge=1, le=100_000)
    """Scale of the update, alpha / r. Absent: twice the rank; 8 with `use_rslora`, whatever the rank."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the update, in training."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules that get an update: the ends of their names, or `all-linear` (all but the output head)."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(r) instead (Kalajdzievski 2023), which keeps large ranks stable."""
    use_dora: bool = False
    """Train the magnitude of each output apart from the direction (DoRA, Liu et al. 2024)."""
    init_lora_weights: Literal["default", "gaussian", "orthogonal", "pissa", "olora", "eva"] = "default"
    """Where A and B begin. `default`: A uniform, B zero. `pissa`: at the base's principal singular vectors (Meng et
    al. 2024); `olora`: at its orthonormal factors (Buyukakyuz 2024); both are saved as a plain LoRA of twice the rank.
    `eva`: at the directions in which the training rows' activations vary (Paischer et al. 2024)."""
    loraplus_lr_ratio: float | None = Field(None, ge=1, le=1000)
    """How many times A's learning rate B gets (LoRA+, Hayou et al. 2024; 16 there). Absent: one rate for both."""

    @model_validator(mode="after")
    def _beginnings_fit(self) -> LoraOptions:
        if self.init_lora_weights in MOVING and (self.use_rslora or self.use_dora):
            other = "use_rslora" if self.use_rslora else "use_dora"
            message = f"`init_lora_weights: {self.init_lora_weights}` does not go with `{other}`"
            raise UnfitError(message, "remove one of the two")
        if self.init_lora_weights == "orthogonal" and self.r % 2:
            raise UnfitError("`init_lora_weights: orthogonal` needs an even `r`", f"write `r: {self.r + 1}`")
        return self


class Lora(BesideQuantized, MergingAdapter):
    """Trains A (r x inputs, random) and B (outputs x r, zero) of each targeted linear map; the base stays frozen."""

    name = "lora"
    summary = (
        "A low-rank update beside frozen linear maps. The usual first choice for tuning: near full fine-tuning's "
        "quality at a small share of its memory, and a small artifact. "
        "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models."
    )
    options = LoraOptions
    rules = (
        Rule(
            "lora_first",
            "there are 50 training rows or more",
            lambda facts, rung: facts.train_rows >= 50,
            "try",
            "the first tuning to try: on data sets of this size it equals full fine-tuning at a small share of its "
            "memory",
            "Hu et al. 2021, LoRA; Schulman et al. 2025, LoRA Without Regret",
        ),
    )

    def recipe(self, options: LoraOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # ten times full fine-tuning's rate and more: Schulman et al. 2025, LoRA Without Regret
        return {"lora_alpha": _alpha(options), **recipe(options, model, rows, rate=1e-3, wide=2e-4, steps=120, most=10)}

    def refusal(self, options: LoraOptions, model: ModelHeader) -> Refusal | None:
        found = refusal(options.target_modules, model) or self._rank_refusal(options, model)
        if (
            found is None
            and options.init_lora_weights == "olora"
            and linears(options.target_modules, model)[0].transposed
        ):
            message = f"`olora` cannot begin on {model.architecture}'s Conv1D"
            return Refusal(message, option="init_lora_weights", hint="write `init_lora_weights: default`")
        return found

    def trainable_parameters(self, options: LoraOptions, model: ModelHeader) -> int:
        targets = linears(options.target_modules, model)
        magnitudes = sum(linear.outputs for linear in targets) if options.use_dora else 0
        return magnitudes + sum(options.r * (linear.inputs + linear.outputs) for linear in targets)

    def footprint(self, options: LoraOptions, model: ModelHeader) -> Footprint:
        trained, targets = self.trainable_parameters(options, model), linears(options.target_modules, model)
        # with dropout, each map keeps its own inputs and what was dropped of them
        kept = 1.5 * sum(linear.inputs for linear in targets) if options.lora_dropout else 0.0
        if not options.use_dora:
            saved = 2 * trained if options.init_lora_weights in MOVING else None
            return Footprint(adapted=targets, kept=kept, saved=saved)
        # norms are of whole maps, the update in them; with dropout, the base multiplies once more what is left
        norms = options.r * sum(linear.inputs * (linear.inputs + linear.outputs) for linear in targets)
        again = weights(targets) if options.lora_dropout else 0
        kept += 2 * sum(linear.outputs for linear in targets)  # the base's and the adapter's, which magnitudes scale
        return Footprint(adapted=targets, per_token=trained + again, per_pass=norms, kept=kept)

    def adapt(self, options: LoraOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from customspec.ml.adapters import attach
        from customspec_tuning.ml.low_rank import begin_at_activations, remember_beginning

        adapted = attach(model, _config(options))
        if options.init_lora_weights == "eva":
            begin_at_activations(adapted, [(*prompt, *answer) for prompt, answer in task.rows])
        if options.init_lora_weights in MOVING:
            remember_beginning(adapted)
        return adapted

    def optimizer(self, options: LoraOptions, model: nn.Module) -> Optimizer | None:
        from customspec_tuning.ml.low_rank import two_rates

        if options.loraplus_lr_ratio is None:
            return None
        return two_rates(model, options.learning_rate or 0.0, options.loraplus_lr_ratio, options.weight_decay or 0.0)

    def save(self, model: nn.Module, folder: Path) -> None:
        from customspec_tuning.ml.low_rank import save

        save(model, folder)

    def quantized_refusal(self, options: LoraOptions, bits: int) -> Refusal | None:
        if options.init_lora_weights not in MOVING:
            return None
        message = f"`init_lora_weights: {options.init_lora_weights}` moves the base's weights, which are packed"
        return Refusal(message, hint="remove `quantization`, or write `init_lora_weights: default`")

    def _rank_refusal(self, options: LoraOptions, model: ModelHeader) -> Refusal | None:
        smallest = min(min(linear.inputs, linear.outputs) for linear in linears(options.target_modules, model))
        if options.r <= smallest:
            return None
        return Refusal(
            f"rank {options.r} exceeds the smallest targeted dimension, {smallest}",
            option="r",
            hint=f"write `r: {smallest}` or less",
        )


def _alpha(options: LoraOptions) -> int:
    # by rsLoRA's root of the rank the scale must not grow with the rank by alpha, too: at rank 8 it is then 2.8, near
    # the plain scale of 2, and what a step changes stays as large at every rank (Kalajdzievski 2023)
    return options.lora_alpha or (8 if options.use_rslora else 2 * options.r)


def _config(options: LoraOptions) -> LoraConfig:
    from peft import EvaConfig, LoraConfig

    begin = options.init_lora_weights
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=options.r,
        lora_alpha=_alpha(options),
        lora_dropout=options.lora_dropout,
        target_modules=names(options.target_modules),
        use_rslora=options.use_rslora,
        use_dora=options.use_dora,
        init_lora_weights=True if begin == "default" else begin,
        eva_config=EvaConfig(rho=1.0) if begin == "eva" else None,  # equal ranks: the number of weights is promised
    )


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Lora()]
