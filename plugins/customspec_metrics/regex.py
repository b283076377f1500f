"""Regular expression: the share of answers that match a pattern, by RE2."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field, field_validator

from customspec.hookspecs import Answer, Metric, hookimpl
from customspec.patterns import compiled
from customspec.spec import Options


class RegexOptions(Options):
    pattern: str = Field(min_length=1, max_length=10_000)
    """Regular expression in RE2's syntax: as Python's, without look-around and backreferences; `\\d`, `\\w` and `\\b`
    are ASCII, `\\pL` is any letter."""
    match: Literal["whole", "part"] = "whole"
    """Whether the whole answer must match, or any part of it."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        compiled(pattern)
        return pattern


class Regex:
    """RE2 takes time linear in the answer's length, whatever the pattern: a spec may come from anybody."""

    name = "regex"
    summary = (
        "Share of answers that match a regular expression, whatever the reference; 0 to 1. `pattern` is RE2's syntax, "
        "which has no look-around and no backreferences, so that matching takes linear time."
    )
    options = RegexOptions
    task: Literal["any"] = "any"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def rows(self, options: RegexOptions, answers: Sequence[Answer]) -> Sequence[float]:
        pattern = compiled(options.pattern)
        matches = pattern.fullmatch if options.match == "whole" else pattern.search
        return [float(matches(answer.prediction) is not None) for answer in answers]

    def score(self, options: RegexOptions, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [Regex()]
