"""The entries of `techniques` and `metrics`: a plugin's own key, and the reserved keys beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from customspec.errors import UnfitError
from customspec.spec.base import MetricName, Name, Seeds, Strict
from customspec.spec.described import Described
from customspec.spec.prompt import PromptPatch
from customspec.spec.sources import BaseModelSpec

RESERVED = frozenset({"id", "prompt", "prompting", "base_model", "seeds", "search", "quantization", "resources"})
METRIC_RESERVED = frozenset({"id"})


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
            raise UnfitError("`low` must be below `high`", "swap them; of one value alone there is nothing to search")
        if self.log and self.low <= 0:
            raise UnfitError("with `log`, `low` must be above 0", "write a smallest value above 0, or remove `log`")
        return self


class _SearchSchema:
    """Made when a schema is asked for."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"trials": SearchTrials.model_json_schema()["properties"]["trials"]},
            "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, Range.model_json_schema()]},
            "minProperties": 1,
        }


SearchSpace = Annotated[dict[str, Any], _SearchSchema()]


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
        if self.bits == 8 and (given := sorted(self.model_fields_set - {"bits"})):
            raise UnfitError(f"`bits: 8` takes no `{given[0]}`", "remove it, or write `bits: 4`, whose option it is")
        return self


def _entry(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


class KeyedEntry(Described):
    """A plugin's own key with its options, and reserved keys beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, defer_build=True)

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
