"""The contract with plugin authors, version 1: techniques, metrics and watchers, and how they are offered.

A plugin is a module named by an entry point in the group `customspec`. The entry point's name says what it
offers: a technique by its bare name (`lora`), a metric as `metric.NAME` (`metric.accuracy`), a watcher as
`watcher.NAME` (`watcher.tensorboard`). So names are known, and clashes refused, before any module is imported.
Importing the module must be cheap: torch, transformers and peft are imported inside the methods that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import pluggy

from customspec.header import Linear, ModelHeader
from customspec.prompts import Example, Message
from customspec.spec import Options, PromptingOptions, TrainingOptions

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from transformers import PreTrainedModel

GROUP = "customspec"
CONTRACT = 1

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

Selector = Callable[[Example], Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a technique cannot take a model or rows. `option` is the option at fault, `item` its place in a list.

    `extra` is the extra of customspec whose installation would mend it.
    """

    message: str
    option: str | None = None
    item: int | str | None = None
    hint: str | None = None
    extra: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How texts are generated for one prompt.

    `temperature` 0 is greedy. `top_p` keeps the likeliest tokens that together have this probability.
    `max_new_tokens` counts where the spec sets none; None: from the lengths of what the training rows should give.
    """

    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of a row's generated texts.

    `prediction` is "" where nothing could be read. `votes` counts each answer that was read; `tie`: another answer
    had as many votes as the prediction; `unread`: texts without an answer.
    """

    prediction: str
    votes: Mapping[str, int]
    tie: bool
    unread: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a tuning technique may look at when it adapts a model: the task's own text, as something to begin from."""

    rows: Sequence[tuple[Sequence[int], Sequence[int]]]
    """The training rows as token ids: prompt, and answer with its end."""
    encode: Callable[[str], Sequence[int]]
    """Text to token ids, as the model's tokenizer does it, special tokens left out."""
    instruction: str | None
    """The first row's system message."""
    choices: Sequence[str] | None
    """The possible answers, in classification."""
    steps: int
    """Optimizer steps that training will take."""


class PromptingTechnique(Protocol):
    """Changes what the model is shown; trains nothing."""

    @property
    def name(self) -> str:
        """The entry point's name."""

    @property
    def family(self) -> Literal["prompting"]:
        """`prompting`."""

    @property
    def summary(self) -> str:
        """One paragraph: when to use it, and its source."""

    @property
    def options(self) -> type[PromptingOptions]:
        """The model of its options; every field has a docstring."""

    def shots(self, options: Any) -> int:
        """How many training rows a query's demonstrations need at least, the query itself not counted."""

    def select(self, options: Any, rows: Sequence[Example], seed: int) -> Selector:
        """A function from a query to its demonstrations, in the order shown.

        `rows` are the rendered training rows; a query that is itself among them (equal `id`) must never be its own
        demonstration. Equal arguments give equal demonstrations. The query's answer is not looked at: it is empty when
        it counts.
        """


# What a prompting technique may have beside: each is found by its method and stands alone.


@runtime_checkable
class Refuses(Protocol):
    """Looks at the training rows before anything runs."""

    def refusal(self, options: Any, rows: Sequence[Example]) -> Refusal | None:
        """Why these options cannot be followed with these rows, on this machine; None where they can."""


@runtime_checkable
class ReadsColumns(Protocol):
    """Needs columns that the prompt does not name."""

    def columns(self, options: Any) -> Mapping[str, str]:
        """Columns of the training rows, each under the option that names it."""


@runtime_checkable
class ReadsFiles(Protocol):
    """Needs files or folders of the person's."""

    def files(self, options: Any) -> Mapping[str, str]:
        """Paths as written, each under the option that names it.

        Every other method then gets options with the whole path; what lies there is part of a step's fingerprint.
        """


@runtime_checkable
class Writes(Protocol):
    """Wants more written than the bare answer."""

    def written(self, options: Any, example: Example) -> str:
        """What the model should write for a row whose answer is known: shown in demonstrations, learned in training."""


@runtime_checkable
class Converses(Protocol):
    """Puts the conversation together itself."""

    def messages(self, options: Any, query: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
        """The conversation up to the answer. The answers of `shots` come as `written` has them."""


@runtime_checkable
class Decodes(Protocol):
    """Says how texts are generated."""

    def decoding(self, options: Any) -> Sampling | None:
        """Samples, temperature and length; None: greedy, as without this method."""


@runtime_checkable
class Reads(Protocol):
    """Reads the answer out of the generated text: text is then generated even where there are choices."""

    def read(self, options: Any, outputs: Sequence[str], choices: Sequence[str] | None) -> Reading:
        """The prediction from one row's texts; with `choices`, one of them or ""."""


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


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a tuning technique adds to a pass of the model.

    `virtual_tokens` are vectors before the prompt that run through the model; `prefix_tokens` are keys and values that
    stand there and do not run. `adapted` are the linear maps that have something beside them that trains.
    `copies`: numbers made and kept in a pass for every weight of these maps, where the technique makes their weights
    anew.
    """

    virtual_tokens: int = 0
    prefix_tokens: int = 0
    adapted: Sequence[Linear] = ()
    copies: float = 0.0


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


Technique = PromptingTechnique | TuningTechnique


@dataclass(frozen=True, slots=True)
class Extra:
    """What a metric or watcher needs beyond what its distribution always brings.

    `modules` are top-level modules, looked for and not imported; `install` is the requirement that brings them.
    """

    modules: tuple[str, ...]
    install: str


@runtime_checkable
class NeedsExtra(Protocol):
    """A metric or watcher may need an extra: where it is missing, a person is told before anything runs."""

    @property
    def extra(self) -> Extra:
        """The modules, and what to install."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One evaluated row, as metrics see it."""

    prediction: str
    """The chosen choice, or the text that was generated."""
    reference: str
    """The right answer."""
    log_likelihood: float | None = None
    """Natural log of p(reference | prompt), summed over its tokens; None unless the metric needs it."""
    tokens: int | None = None
    """Tokens of the reference, its end included; None where `log_likelihood` is."""


class Metric(Protocol):
    """A number for a set of answers."""

    @property
    def name(self) -> str:
        """The entry point's name, without `metric.`."""

    @property
    def summary(self) -> str:
        """One paragraph: what it measures, its range, its source."""

    @property
    def task(self) -> Literal["classification", "generation", "any"]:
        """What it can measure: predicted choices, generated texts, or both."""

    @property
    def lowest(self) -> float:
        """The smallest possible value; may be infinite."""

    @property
    def highest(self) -> float:
        """The largest possible value; may be infinite."""

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""

    @property
    def proportion(self) -> bool:
        """Whether it is the mean of right (1) and wrong (0) over rows, so that Wilson's interval holds."""

    def score(self, options: Any, answers: Sequence[Answer]) -> float:
        """The metric over all answers, of which there is at least one. Intervals ask for it some thousand times."""


# What a metric may have beside: each is found by its member and stands alone.


@runtime_checkable
class HasOptions(Protocol):
    """Can be told more in the spec; without this, `Options` without a field is passed."""

    @property
    def options(self) -> type[Options]:
        """The model of its options; every field has a docstring."""


@runtime_checkable
class ScoresRows(Protocol):
    """Is the mean of a number per row."""

    def rows(self, options: Any, answers: Sequence[Answer]) -> Sequence[float]:
        """Each answer's own number, in order; 0 or 1 for a proportion. `score` is their mean."""


@runtime_checkable
class NeedsLikelihood(Protocol):
    """Looks at how likely the reference is, which costs a pass of the model over every row."""

    @property
    def needs_likelihood(self) -> bool:
        """Whether `log_likelihood` and `tokens` are to be filled."""


class Progress(Protocol):
    """Sees the steps of a run as they go; must not change them. Step ids are the plan's."""

    def started(self, step: str, total: int | None) -> None:
        """A step began to work; `total` is the number of units of work that it will report, if it knows."""

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        """A step has done so many units of `total`, where that is known by now.

        `note` is for people. `values` are numbers worth a curve: of a training `loss`, `learning_rate` and
        `grad_norm`, where a unit is an optimizer step.
        """

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """A step ended: done, cached, skipped or failed, the last two with a reason.

        `values` are what the step measured, plain JSON, where it has a result. A step that was cached or skipped
        never started.
        """


class Watcher(Progress, Protocol):
    """Takes a run's course elsewhere: a tracking server, a chart. Off unless asked for.

    All methods are called in one thread, in this order: `run_started`; for each step `started`, any number of
    `progress`, `finished`; `run_finished`. One that raises is named in the log and called no more.
    """

    @property
    def name(self) -> str:
        """The entry point's name, without `watcher.`."""

    @property
    def summary(self) -> str:
        """One paragraph: where what is watched goes to."""

    def run_started(self, plan: Mapping[str, Any], folder: Path) -> None:
        """The plan as `plan.json` has it, and the run's folder, in which a watcher may make one of its own name."""

    def run_finished(self, results: Mapping[str, Any] | None) -> None:
        """The results as `results.json` has them; None when the run was cut short."""


class Plugin:
    """The hooks. A plugin implements those that it needs, marked with `hookimpl`."""

    @hookspec
    def customspec_techniques(self) -> Sequence[Technique]:  # type: ignore[empty-body]
        """Offer techniques: exactly those that the distribution's entry points name for this module."""

    @hookspec
    def customspec_metrics(self) -> Sequence[Metric]:  # type: ignore[empty-body]
        """Offer metrics: exactly those that the distribution's entry points name for this module."""

    @hookspec
    def customspec_watchers(self) -> Sequence[Watcher]:  # type: ignore[empty-body]
        """Offer watchers: exactly those that the distribution's entry points name for this module."""
