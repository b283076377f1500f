"""The contract of a tuning technique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from customspec.header import ModelHeader
from customspec.hookspecs.values import Footprint, Outputs, Refusal, Task
from customspec.prompts import Example
from customspec.spec import TrainingOptions

if TYPE_CHECKING:
    from torch import Tensor, device, dtype, nn
    from torch.optim import Optimizer
    from transformers import PreTrainedModel


class TuningTechnique(Protocol):
    """Changes the model, or what stands before it."""

    @property
    def name(self) -> str:
        """The entry point's name."""

    @property
    def family(self) -> Literal["tuning"]:
        """`tuning`."""

    @property
    def summary(self) -> str:
        """One paragraph: when to use it, and its source."""

    @property
    def options(self) -> type[TrainingOptions]:
        """The model of its options; every field has a docstring."""

    def recipe(self, options: Any, model: ModelHeader, rows: int) -> Mapping[str, Any]:
        """Values for options that the person left open, by model and number of training rows."""

    def refusal(self, options: Any, model: ModelHeader) -> Refusal | None:
        """Why this model cannot be taken, or None. Called before any weight is loaded."""

    def trainable_parameters(self, options: Any, model: ModelHeader) -> int:
        """How many parameters training changes: exact."""

    def adapt(self, options: Any, model: PreTrainedModel, task: Task) -> nn.Module:
        """The model, ready to train: what trains is float32 and requires grad, all else is frozen.

        Called with the seed set. The base comes in the run's compute type.
        """

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write what was trained, as safetensors, in PEFT's layout where PEFT has one. Training may go on after it."""

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        """The trained model, from a fresh base and what `save` wrote."""


@runtime_checkable
class Consulting(Protocol):
    """A tuning technique whose planning needs libraries too heavy for it. It is asked once, in a process of its own;
    `refusal` and `trainable_parameters` find the answer in `model.told`."""

    def question(self, options: Any, model: ModelHeader) -> Mapping[str, Any]:
        """All that the answer depends on, as plain JSON."""

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Plain JSON. May import torch, transformers and peft."""


@runtime_checkable
class Optimizing(Protocol):
    """A tuning technique with an optimizer of its own (LoRA+). Absent: AdamW with one learning rate."""

    def optimizer(self, options: Any, model: nn.Module) -> Optimizer | None:
        """Over what `adapt` left to train, with the options' peak learning rate; the schedule is ours. None: ours."""


@runtime_checkable
class Judging(Protocol):
    """A tuning technique with a loss of its own (preferences, weighted rows). Absent: the mean cross-entropy of the
    answers' tokens. Columns that the prompt does not name are told by `columns`, as `ReadsColumns` has it."""

    @property
    def needs_reference(self) -> bool:
        """Whether the untrained base's log-likelihoods are wanted: a pass over all texts before training."""

    def texts(self, options: Any, row: Example) -> Sequence[str]:
        """What the loss looks at, each text being encoded behind the row's prompt as its answer would be, with its end:
        of every training row as many, at least one, none of them empty."""

    def objective(self, options: Any, outputs: Outputs) -> Tensor:
        """(rows,), with gradient: each row's loss, which depends on that row alone. Minimized is the mean over all rows
        of an optimizer step."""


@runtime_checkable
class Penalizing(Protocol):
    """A tuning technique that adds to the loss (AdaLoRA's orthogonality)."""

    def penalty(self, options: Any, model: nn.Module) -> Tensor:
        """A scalar with gradient, once a forward pass."""


@runtime_checkable
class Stepping(Protocol):
    """A tuning technique that acts after each optimizer step (AdaLoRA's ranks)."""

    def after_step(self, options: Any, model: nn.Module, step: int) -> None:
        """Steps count from 1; gradients are still there."""


@runtime_checkable
class Remembering(Protocol):
    """A tuning technique that keeps something between steps beside the trained weights (AdaLoRA's importances): a
    training that was cut off goes on with it."""

    def memory(self, options: Any, model: nn.Module) -> Any:
        """Numbers, text, tensors, and lists, tuples and mappings of them."""

    def remember(self, options: Any, model: nn.Module, memory: Any) -> None:
        """Put what `memory` gave back; its tensors come on the CPU."""


@runtime_checkable
class Merging(Protocol):
    """A tuning technique whose artifact can go into the base's own weights, to be handed over as one model."""

    def merge(self, model: nn.Module) -> PreTrainedModel:
        """What `load` gave, as a plain model that needs no adapter. Raises UsageError where that cannot be."""


@runtime_checkable
class StandsAlone(Protocol):
    """A tuning technique whose artifact is a whole model: it is opened without a base in memory beside it."""

    def open_whole(self, folder: Path, dtype: dtype, device: device | str) -> nn.Module:
        """What `load` gives, in this type and place."""


@runtime_checkable
class Footprints(Protocol):
    """A tuning technique that says what it adds to a pass, so that memory and time are estimated well.

    Absent: all weights train, where that is their number, or something trains beside every linear map.
    """

    def footprint(self, options: Any, model: ModelHeader) -> Footprint:
        """By the options, recipe included, and the model's header."""


@runtime_checkable
class TakesQuantized(Protocol):
    """A tuning technique that can train beside a frozen base whose linear weights have 4 or 8 bits (bitsandbytes' own
    modules, with the usual inputs and outputs). Without this, `quantization` beside it is refused."""

    def quantized_refusal(self, options: Any, bits: int) -> Refusal | None:
        """Why not with these options, or None."""
