"""Regular expression: the share of answers that match a pattern, by RE2."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Literal

from pydantic import Field, field_validator

from customspec.hookspecs import Answer, Extra, Metric, hookimpl
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
    extra = Extra(("re2",), "customspec[text-metrics]")

    def rows(self, options: RegexOptions, answers: Sequence[Answer]) -> Sequence[float]:
        pattern = compiled(options.pattern)
        matches = pattern.fullmatch if options.match == "whole" else pattern.search
        return [float(matches(answer.prediction) is not None) for answer in answers]

    def score(self, options: RegexOptions, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


def compiled(pattern: str) -> Any:
    """RE2's pattern. Raises ValueError, with RE2's reason, for what it does not take."""
    import re2

    settings = re2.Options()
    settings.log_errors = False
    try:
        return re2.compile(pattern, settings)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"`{pattern}` is no regular expression of RE2: {reason}") from error


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [Regex()]
