"""The contract with plugin authors, version 1: techniques, metrics and watchers, and how they are offered.

A plugin is a module named by an entry point in the group `customspec`. The entry point's name says what it
offers: a technique by its bare name (`lora`), a metric as `metric.NAME` (`metric.accuracy`), a watcher as
`watcher.NAME` (`watcher.tensorboard`). So names are known, and clashes refused, before any module is imported.
Importing the module must be cheap: torch, transformers and peft are imported inside the methods that need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import pluggy

from customspec.hookspecs.advice import Advises, Facts, Rule, Rung
from customspec.hookspecs.metrics import HasOptions, Metric, NeedsLikelihood, ScoresRows, ScoresTotals
from customspec.hookspecs.prompting import (
    Converses,
    Decodes,
    Fits,
    PromptingTechnique,
    Reads,
    ReadsColumns,
    ReadsFiles,
    Refuses,
    Scorer,
    Selector,
    Writes,
)
from customspec.hookspecs.tuning import (
    Consulting,
    Footprints,
    Judging,
    Merging,
    Optimizing,
    Penalizing,
    Remembering,
    StandsAlone,
    Stepping,
    TakesQuantized,
    TuningTechnique,
)
from customspec.hookspecs.values import Answer, Extra, Footprint, Outputs, Reading, Refusal, Sampling, Task
from customspec.hookspecs.watching import Progress, Watcher

__all__ = [
    "CONTRACT",
    "GROUP",
    "Advises",
    "Answer",
    "Consulting",
    "Converses",
    "Decodes",
    "Extra",
    "Facts",
    "Fits",
    "Footprint",
    "Footprints",
    "HasOptions",
    "Judging",
    "Merging",
    "Metric",
    "NeedsExtra",
    "NeedsLikelihood",
    "Optimizing",
    "Outputs",
    "Penalizing",
    "Plugin",
    "Progress",
    "PromptingTechnique",
    "Reading",
    "Reads",
    "ReadsColumns",
    "ReadsFiles",
    "Refusal",
    "Refuses",
    "Remembering",
    "Rule",
    "Rung",
    "Sampling",
    "Scorer",
    "ScoresRows",
    "ScoresTotals",
    "Selector",
    "StandsAlone",
    "Stepping",
    "TakesQuantized",
    "Task",
    "Technique",
    "TuningTechnique",
    "Watcher",
    "Writes",
    "hookimpl",
    "hookspec",
]

GROUP = "customspec"
CONTRACT = 1

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

Technique = PromptingTechnique | TuningTechnique


@runtime_checkable
class NeedsExtra(Protocol):
    """A plugin may need an extra: where it is missing, a person is told before anything runs."""

    @property
    def extra(self) -> Extra:
        """The modules, and what to install."""


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
