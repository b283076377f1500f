"""The spec: frozen, strict models of what a person may write, and the base classes of a technique's options.

A technique's own options are not known here. They stay raw in `TechniqueEntry.options` until the compiler
hands them to the technique, so that an error's path is always a path in the person's file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from customspec.errors import UnfitError
from customspec.spec.base import Name, Options, Seeds, Strict, Text, Texts
from customspec.spec.described import descriptions
from customspec.spec.entries import (
    METRIC_RESERVED,
    RESERVED,
    Entry,
    MeasuredEntry,
    MetricEntry,
    Quantization,
    Range,
    SearchTrials,
    TechniqueEntry,
)
from customspec.spec.goal import Budget, Cost, Goal
from customspec.spec.options import Calibration, PromptingOptions, TrainingOptions, as_written, varied
from customspec.spec.prompt import Generation, Prompt, PromptPatch
from customspec.spec.sources import BaseModelSpec, DataSpec, Split

__all__ = [
    "LADDER",
    "METRIC_RESERVED",
    "RESERVED",
    "BaseModelSpec",
    "Budget",
    "Calibration",
    "Cost",
    "DataSpec",
    "Generation",
    "Goal",
    "MetricEntry",
    "Options",
    "Prompt",
    "PromptPatch",
    "PromptingOptions",
    "Quantization",
    "Range",
    "SearchTrials",
    "Spec",
    "Split",
    "Strict",
    "TechniqueEntry",
    "Text",
    "Texts",
    "TrainingOptions",
    "UnfitError",
    "as_written",
    "descriptions",
    "varied",
]

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
            hint = "add `goal: {metric: NAME, at_least: 0.8}`, or write `strategy: compare`"
            raise UnfitError("`strategy: ladder` needs a `goal` to climb to", hint)
        return self
