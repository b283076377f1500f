"""The base classes of what techniques can be told, and the same told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, model_validator

from customspec.errors import UnfitError
from customspec.spec.base import Options

Calibration = Literal["none", "length", "contextual", "pmi"]
SomeOptions = TypeVar("SomeOptions", bound=Options)


class PromptingOptions(Options):
    """What every prompting technique can be told."""

    calibrate: Calibration = "none"
    """How the scores of `choices` are corrected before the best is taken. `length`: mean log-probability per token.
    `contextual`: probabilities divided by those after content-free questions (Zhao et al. 2021). `pmi`:
    log-likelihoods less those after an empty question (Holtzman et al. 2021)."""


class TrainingOptions(Options):
    """What every tuning technique can be told. What is absent is chosen by the technique's recipe."""

    learning_rate: float | None = Field(None, gt=0, le=10)
    """Peak learning rate of AdamW."""
    num_train_epochs: float | None = Field(None, gt=0, le=1000)
    """Passes over the training rows."""
    max_steps: int | None = Field(None, ge=1, le=10_000_000)
    """Optimizer steps; instead of `num_train_epochs`."""
    per_device_train_batch_size: int | None = Field(None, ge=1, le=65_536)
    """Rows in one forward pass."""
    gradient_accumulation_steps: int | None = Field(None, ge=1, le=65_536)
    """Forward passes in one optimizer step."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] | None = None
    """Shape of the learning rate over the steps."""
    warmup_steps: float | None = Field(None, ge=0, le=10_000_000)
    """Steps of linear warm-up; a number below 1 is a share of all steps."""
    weight_decay: float | None = Field(None, ge=0, le=1)
    """AdamW's decoupled weight decay."""
    max_grad_norm: float | None = Field(None, gt=0, le=1_000_000)
    """Gradients are scaled down to this norm."""
    eval_steps: float | None = Field(None, gt=0, le=10_000_000)
    """Steps between comparisons on the validation rows; a number below 1 is a share of all steps. Absent: an epoch's,
    where that makes four to ten comparisons in all. The best state by the goal's metric is kept."""
    early_stopping_patience: int | None = Field(None, ge=1, le=10_000)
    """Comparisons without a better value after which training stops early."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        if self.num_train_epochs is not None and self.max_steps is not None:
            raise UnfitError("set either `num_train_epochs` or `max_steps`, not both", "remove one of them")
        return self


def varied(options: SomeOptions, chosen: Mapping[str, Any]) -> SomeOptions:
    """The options with some of them chosen otherwise, as if a person had written these, too. Raises ValidationError
    where they do not go together."""
    given = options.model_dump(include=set(options.model_fields_set))
    return type(options).model_validate({**given, **chosen})


def as_written(options: SomeOptions) -> SomeOptions:
    """Options of which a plan has named every one, as a person would write them: `model_fields_set` is then those that
    are not as by default."""
    return type(options).model_validate(options.model_dump(exclude_defaults=True))
