"""AdaLoRA: low-rank updates in the form of a singular value decomposition, whose ranks go where they matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from customspec.header import Linear, ModelHeader
from customspec.hookspecs import Footprint, Refusal, Task, TuningTechnique, hookimpl
from customspec.spec import TrainingOptions, UnfitError
from customspec_tuning.adapter import BesideQuantized, MergingAdapter
from customspec_tuning.recipes import recipe
from customspec_tuning.targets import ALL_LINEAR, Targets, linears, names, refusal

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

SMOOTHED = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # of PEFT's allocator: by weight, between steps


class AdaloraOptions(TrainingOptions):
    """PEFT's names (AdaLoraConfig), and the training options."""

    init_r: int = Field(12, ge=1, le=4096)
    """Rank of every update at the beginning."""
    target_r: int = Field(8, ge=1, le=4096)
    """Mean rank at the end."""
    lora_alpha: int | None = Field(None, ge=1, le=100_000)
    """Scale of the update, alpha / rank. Absent: twice `init_r`."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the update, in training."""
    orth_reg_weight: float = Field(0.1, ge=0, le=100)
    """Weight of the penalty that keeps singular vectors orthogonal."""
    beta1: float = Field(0.85, gt=0, lt=1)
    """Smoothing of each singular value's importance."""
    beta2: float = Field(0.85, gt=0, lt=1)
    """Smoothing of its uncertainty."""
    target_modules: Targets = ALL_LINEAR
    """Linear modules to adapt: the ends of their names, or `all-linear` (all but the output head)."""

    @model_validator(mode="after")
    def _ranks_fall(self) -> AdaloraOptions:
        if self.target_r >= self.init_r:
            message = f"`target_r` {self.target_r} must lie below `init_r` {self.init_r}: ranks only fall"
            raise UnfitError(message, f"write `init_r: {round(1.5 * self.target_r) or 2}`, half as many again")
        return self


class Adalora(BesideQuantized, MergingAdapter):
    """Trains P (outputs x r), the singular values (r) and Q (r x inputs) of each targeted linear map's update."""

    name = "adalora"
    summary = (
        "LoRA that begins with a larger rank and takes it away where it matters least. Choose it when the adapter's "
        "size is what limits you. Zhang et al. 2023, AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient "
        "Fine-Tuning."
    )
    options = AdaloraOptions

    def recipe(self, options: AdaloraOptions, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        # singular values begin at zero between small random vectors: the first steps are slower than LoRA's, and later
        # ones faster (`benchmarks.rates`)
        return recipe(options, model, rows, rate=2e-3, wide=5e-4, steps=200)

    def refusal(self, options: AdaloraOptions, model: ModelHeader) -> Refusal | None:
        return refusal(options.target_modules, model)

    def trainable_parameters(self, options: AdaloraOptions, model: ModelHeader) -> int:
        return _numbers(options.init_r, linears(options.target_modules, model))

    def footprint(self, options: AdaloraOptions, model: ModelHeader) -> Footprint:
        targets = linears(options.target_modules, model)
        # which maps keep their ranks is seen in training; the mean is known
        return Footprint(adapted=targets, saved=_numbers(options.target_r, targets))

    def adapt(self, options: AdaloraOptions, model: PreTrainedModel, task: Task) -> nn.Module:
        from peft import AdaLoraConfig

        from customspec.ml.adapters import attach

        adapted = attach(
            model,
            AdaLoraConfig(
                task_type="CAUSAL_LM",
                target_modules=names(options.target_modules),
                init_r=options.init_r,
                target_r=options.target_r,
                lora_alpha=options.lora_alpha or 2 * options.init_r,
                lora_dropout=options.lora_dropout,
                orth_reg_weight=options.orth_reg_weight,
                beta1=options.beta1,
                beta2=options.beta2,
                # between the authors' scripts for GLUE: 9 to 18 % to warm up, the last 44 to 58 % at the final ranks
                tinit=task.steps // 10,
                tfinal=task.steps // 2,
                deltaT=1,  # between masks what was masked grows again, and saving drops it
                total_step=task.steps,
            ),
        )
        for name, parameter in adapted.named_parameters():
            if "ranknum" in name:  # the current rank: on its way to a GPU, PEFT makes it a parameter that trains
                parameter.requires_grad = False
        return adapted

    def penalty(self, options: AdaloraOptions, model: nn.Module) -> Tensor:
        """PEFT's form of equation 4: mean distance of P'P and QQ' from the identity, not the sum of squares."""
        import torch

        distances = []
        for name, parameter in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                gram = parameter @ parameter.T if "lora_A" in name else parameter.T @ parameter
                distances.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
        return options.orth_reg_weight * torch.stack(distances).mean()

    def after_step(self, options: AdaloraOptions, model: nn.Module, step: int) -> None:
        """Importances from this step's gradients, ranks from importances."""
        from customspec.ml.adapters import tuner

        allocating = tuner(model)
        schedule = allocating.peft_config["default"]
        if schedule.total_step - schedule.tfinal > 1:  # in fewer steps there is nothing to allocate by
            allocating.update_and_allocate(step)

    def memory(self, options: AdaloraOptions, model: nn.Module) -> Any:
        """What the importances were smoothed to, and which ranks are left."""
        from customspec.ml.adapters import tuner

        allocating = tuner(model)
        smoothed = {name: dict(getattr(allocating.rankallocator, name)) for name in SMOOTHED}
        return {"smoothed": smoothed, "ranks": allocating.peft_config["default"].rank_pattern}

    def remember(self, options: AdaloraOptions, model: nn.Module, memory: Any) -> None:
        from customspec.ml.adapters import tuner

        allocating, device = tuner(model), next(model.parameters()).device
        for name, parts in memory["smoothed"].items():
            setattr(allocating.rankallocator, name, {part: tensor.to(device) for part, tensor in parts.items()})
        allocating.peft_config["default"].rank_pattern = memory["ranks"]


def _numbers(rank: int, targets: Sequence[Linear]) -> int:
    return sum(rank * (linear.inputs + linear.outputs + 1) for linear in targets)


@hookimpl
def customspec_techniques() -> Sequence[TuningTechnique]:
    return [Adalora()]
