"""The spec: frozen, strict models of what a person may write, and the base classes of a technique's options.

A technique's own options are not known here. They stay raw in `TechniqueEntry.options` until the compiler
hands them to the technique, so that an error's path is always a path in the person's file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
MetricName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]  # rougeL is its name everywhere
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("`seeds` must be distinct: each seed is a candidate of its own")
    return seeds


Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]

RESERVED = frozenset({"id", "prompt", "prompting", "base_model", "seeds", "search", "quantization", "resources"})
METRIC_RESERVED = frozenset({"id"})


class Strict(BaseModel):
    """Unknown keys, wrong types and non-finite numbers are errors; nothing is coerced; nothing changes later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Options(Strict):
    """Base of the options of techniques and metrics. A field's docstring is its help, schema text and reference."""


Calibration = Literal["none", "length", "contextual", "pmi"]


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
    """Steps between comparisons on the validation rows; a number below 1 is a share of all steps. Absent: ten
    comparisons in all. The best state by the goal's metric is kept."""
    early_stopping_patience: int | None = Field(None, ge=1, le=10_000)
    """Comparisons without a better value after which training stops early."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        if self.num_train_epochs is not None and self.max_steps is not None:
            raise ValueError("set either `num_train_epochs` or `max_steps`, not both")
        return self


class BaseModelSpec(Strict):
    """Where the base model comes from: exactly one of `hub`, `path`, `package`."""

    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """Repository on the Hugging Face hub, `owner/name`."""
    revision: Text | None = None
    """Commit, tag or branch of the hub repository."""
    path: Text | None = None
    """Folder of safetensors, or a .gguf file; relative to the spec."""
    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    """Installed Python package that holds the model file; it is located, never imported."""
    file: Text | None = None
    """File inside the package."""

    @model_validator(mode="after")
    def _one_source(self) -> BaseModelSpec:
        given = [name for name in ("hub", "path", "package") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "none"
            raise ValueError(f"a model needs exactly one of `hub`, `path`, `package`; found {found}")
        if (self.package is None) != (self.file is None):
            raise ValueError("`package` and `file` belong together: the package and the file inside it")
        if self.revision is not None and self.hub is None:
            raise ValueError("`revision` belongs to `hub`")
        return self


def _split(value: object) -> object:
    if isinstance(value, str):
        return {"path": [value]}
    if isinstance(value, list):
        return {"path": value}
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        return {**value, "path": [value["path"]]}
    return value


class Split(Strict):
    """Rows: one or more files, or a data set on the hub."""

    path: Texts | None = None
    """File or files: jsonl, json, csv, parquet; relative to the spec."""
    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """Data set on the Hugging Face hub, `owner/name`."""
    revision: Text | None = None
    """Commit, tag or branch of the data set."""
    subset: Text | None = None
    """Configuration of the data set."""
    split: Text | None = None
    """Split of the data set, for instance `train` or `train[:500]`."""

    @model_validator(mode="after")
    def _one_source(self) -> Split:
        if (self.path is None) == (self.hub is None):
            raise ValueError("a split needs exactly one of `path` and `hub`")
        if self.hub is None and (self.revision or self.subset or self.split):
            raise ValueError("`revision`, `subset` and `split` belong to `hub`")
        if self.hub is not None and self.split is None:
            raise ValueError("a hub data set needs `split`, for instance `split: train`")
        return self


AnySplit = Annotated[Split, BeforeValidator(_split, json_schema_input_type=str | list[str] | Split)]


class DataSpec(Strict):
    """The rows: to learn from, to choose by, to claim on."""

    train: AnySplit | None = None
    """Rows to learn from, and to take demonstrations from."""
    validation: AnySplit | None = None
    """Rows to choose by. Absent: split off the training rows by the first seed, stratified, whole groups together."""
    test: AnySplit
    """Rows to claim on; nothing else touches them."""
    group: Text | None = None
    """Column whose equal values belong together: never divided between splits, and resampled whole for intervals."""
    allow_overlap: int | None = Field(None, ge=0)
    """How many test rows are also training rows: exactly that many. Absent: none."""
    on_long: Literal["error", "truncate", "drop"] = "error"
    """A row longer than the model's context: refuse, cut the prompt (never the answer), or drop the row and say so."""


class PromptPatch(Strict):
    """A candidate's own prompt: what is absent comes from the spec's prompt."""

    system: Text | None = None
    """Jinja2 template of the system message."""
    user: Text | None = None
    """Jinja2 template of the user's message; the columns are the variables."""
    answer: Text | None = None
    """Jinja2 template of the answer to learn and to score."""
    choices: Literal["from_data"] | Texts | None = None
    """The possible answers: a list, or `from_data` (the distinct training answers; without training rows, those of
    the other splits). Absent: free generation."""
    messages: Text | None = None
    """Column of chat messages, instead of templates; the last assistant turn is the answer."""


class Prompt(PromptPatch):
    """What the model is shown and what it should answer."""

    @model_validator(mode="after")
    def _complete(self) -> Prompt:
        if self.messages is not None and (self.user or self.answer or self.system):
            raise ValueError("`messages` stands instead of `system`, `user` and `answer`")
        missing = [name for name in ("user", "answer") if getattr(self, name) is None]
        if self.messages is None and missing:
            raise ValueError("a prompt needs " + " and ".join(f"`{name}`" for name in missing))
        return self


class Generation(Strict):
    """Generated text: greedy where a technique does not sample, up to a maximum, ending early at a stop text."""

    max_new_tokens: int | None = Field(None, ge=1, le=32_768)
    """Most tokens of one answer. Absent: from the lengths of the training answers."""
    stop: Texts | None = None
    """Texts that end an answer; they are not part of it."""


class Goal(Strict):
    """What is good enough."""

    metric: MetricName
    """Name of the metric, or the id of its entry in `metrics`."""
    at_least: float | None = None
    """Smallest value that meets the goal."""
    at_most: float | None = None
    """Largest value that meets the goal."""

    @model_validator(mode="after")
    def _one_bound(self) -> Goal:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a goal needs exactly one of `at_least` and `at_most`")
        return self

    @property
    def threshold(self) -> float:
        return self.at_least if self.at_least is not None else self.at_most or 0.0

    def reached_by(self, value: float) -> bool:
        """Whether an estimate lies on the good side of the threshold."""
        return value >= self.threshold if self.at_least is not None else value <= self.threshold


SIZE = r"^[0-9]+([.][0-9]+)? ?([kKMGT]i?)?B$"
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def _bytes(value: object) -> object:
    """`8GiB` is 8 * 1024^3 bytes, `8 GB` is 8 * 1000^3."""
    found = re.fullmatch(r"([0-9.]+) ?([kKMGT]?)(i?)B", value) if isinstance(value, str) else None
    if not found or not re.fullmatch(SIZE, str(value)):
        if isinstance(value, str):
            raise ValueError(f"a size is a number of bytes, or text such as 8GiB or 500 MB; found {value!r}")
        return value
    return int(Fraction(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]])


Sized = BeforeValidator(_bytes, json_schema_input_type=int | Annotated[str, Field(pattern=SIZE)])


class Budget(Strict):
    """What a run, and the candidate that it chooses, may cost."""

    minutes: float | None = Field(None, gt=0)
    """Wall-clock minutes of the whole run."""
    memory: Annotated[int, Field(gt=0), Sized] | None = None
    """Peak memory of any step: bytes, or text such as `8GiB` or `8 GB`."""
    trainable_parameters: int | None = Field(None, ge=0)
    """Most parameters that a candidate trains."""
    prompt_tokens: float | None = Field(None, gt=0)
    """Most tokens of a request's prompt, demonstrations included, in the mean."""
    artifact: Annotated[int, Field(ge=0), Sized] | None = None
    """Largest size of what a training leaves: bytes, or text such as `20MB`."""

    @model_validator(mode="after")
    def _not_empty(self) -> Budget:
        if not self.model_fields_set:
            raise ValueError(
                f"a budget needs at least one of {', '.join(f'`{key}`' for key in type(self).model_fields)}"
            )
        return self


class Cost(Strict):
    """What requests are expected and what a device costs: for the totals beside the quality."""

    requests_per_month: int = Field(gt=0, le=10**12)
    """Requests that the chosen candidate is to answer in a month."""
    price_per_device_hour: float = Field(gt=0, le=10**6)
    """Price of the device that a run is on, for an hour, in any currency."""


class SearchTrials(Strict):
    """How long a search may be."""

    trials: int = Field(ge=1, le=1000)
    """Combinations that are tried."""


class Range(Strict):
    """An interval of which a search draws."""

    low: float | int
    """Smallest value."""
    high: float | int
    """Largest value."""
    log: bool = False
    """Whether factors count, and not differences: right for learning rates."""

    @model_validator(mode="after")
    def _ascending(self) -> Range:
        if self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        if self.log and self.low <= 0:
            raise ValueError("with `log`, `low` must be above 0")
        return self


SearchSpace = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"trials": SearchTrials.model_json_schema()["properties"]["trials"]},
            "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, Range.model_json_schema()]},
            "minProperties": 1,
        }
    ),
]


class Quantization(Strict):
    """The base model's linear weights in fewer bits, by bitsandbytes on a CUDA GPU; under transformers' names."""

    bits: Literal[4, 8]
    """4: QLoRA's block-wise numbers (Dettmers et al. 2023); 8: LLM.int8 (Dettmers et al. 2022)."""
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    """The 16 values of 4 bits: quantiles of a normal distribution, as in QLoRA, or small floating-point numbers."""
    bnb_4bit_use_double_quant: bool = True
    """Quantize the 4-bit blocks' own scales, too, as QLoRA does: 0.4 bits less a weight."""

    @model_validator(mode="after")
    def _four_bits(self) -> Quantization:
        if self.bits == 8 and (told := sorted(self.model_fields_set - {"bits"})):
            raise ValueError(f"`bits: 8` takes no `{told[0]}`")
        return self


def _entry(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


class KeyedEntry(BaseModel):
    """A plugin's own key with its options, and reserved keys beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, use_attribute_docstrings=True)

    @property
    def plugin(self) -> str:
        """The key that is not reserved: exactly one, when the entry is right."""
        return next(iter(self.model_extra or ()))

    @property
    def options(self) -> Mapping[str, Any]:
        """The plugin's raw options; `lora:` with nothing behind it means none."""
        raw = (self.model_extra or {})[self.plugin]
        return {} if raw is None else raw  # the compiler refuses what is no mapping


class MetricEntry(KeyedEntry):
    """One entry of `metrics`: the metric's own key with its options, and an id where one metric stands twice."""

    id: MetricName | None = None
    """Name of the entry in the goal and the results; absent: the metric's name."""


class TechniqueEntry(KeyedEntry):
    """One entry of `techniques`: the technique's own key with its options, and the reserved keys beside it."""

    id: Name | None = None
    """Name of the candidate; absent: the technique's name."""
    prompt: PromptPatch | None = None
    """The candidate's own prompt, laid over the spec's."""
    prompting: str | dict[str, Any] | None = None
    """A prompting technique beside a tuning technique, used alike in training and evaluation."""
    base_model: BaseModelSpec | None = None
    """The candidate's own base model."""
    seeds: Seeds | None = None
    """The candidate's own seeds."""
    search: SearchSpace | None = None
    """Options of the technique to search on the validation rows: for each a list of values, or `{low, high, log}`;
    `trials` says how many combinations are tried."""
    quantization: Quantization | None = None
    """Fewer bits for the base model's weights: an adapter's quantized sibling (QLoRA). Needs a CUDA GPU."""
    resources: dict[str, Any] | None = None
    """What the candidate's steps need of a machine."""


Entry = Annotated[TechniqueEntry, BeforeValidator(_entry, json_schema_input_type=str | TechniqueEntry)]
MeasuredEntry = Annotated[MetricEntry, BeforeValidator(_entry, json_schema_input_type=str | MetricEntry)]

LADDER = ("zero_shot", "one_shot", "few_shot", "prompt_tuning", "p_tuning", "prefix_tuning", "lora", "full")


class Spec(Strict):
    """A whole spec, format 1."""

    customspec: Annotated[int, Field(ge=1, le=1, json_schema_extra={"const": 1})]
    """Version of the spec's format."""
    name: Name
    """Name of the spec: lower-case letters, digits, `.`, `_`, `-`."""
    description: str | None = None
    """What the spec is for, for people."""
    base_model: BaseModelSpec
    """The model to customize."""
    data: DataSpec
    """The rows."""
    prompt: Prompt
    """What the model is shown, and the answer."""
    generation: Generation = Generation()
    """How free answers are generated."""
    metrics: Annotated[tuple[MeasuredEntry, ...], Field(strict=False, min_length=1)] | None = None
    """Metrics to report; the goal's is always among them."""
    techniques: Annotated[tuple[Entry, ...], Field(strict=False, min_length=1)] | None = None
    """The candidates. Absent: the default ladder."""
    goal: Goal | None = None
    """What is good enough."""
    strategy: Literal["compare", "ladder"] = "compare"
    """`compare` runs every candidate; `ladder` climbs from cheap to expensive and stops at the goal."""
    confidence: float = Field(0.95, ge=0.5, lt=1)
    """Of the claim that the goal is met, and of the verdicts between candidates."""
    margin: float | None = Field(None, gt=0)
    """Without a goal: a candidate must be shown to lose less than this to the best, in the first metric's own unit.
    Absent: 0.02 of the metric's range; 0.02 where the range has no end."""
    budget: Budget | None = None
    """What the run and its answer may cost."""
    cost: Cost | None = None
    """Requests and prices, for what every candidate costs in all."""
    gauge: Literal["reference", "candidate"] = "reference"
    """The gauge is a first entry that prompts a larger `base_model` of its own. `reference`: it shows what is possible,
    and is never chosen. `candidate`: it is one as the others are."""
    seeds: Seeds = (0,)
    """The first decides and ships; others show the spread."""

    @model_validator(mode="after")
    def _ladder_has_goal(self) -> Spec:
        if self.strategy == "ladder" and self.goal is None:
            raise ValueError("`strategy: ladder` needs a `goal` to climb to")
        return self
