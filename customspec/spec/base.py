"""What every part of a spec is made of: names, texts, seeds, and the strictness of its models."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from customspec.errors import UnfitError
from customspec.spec.described import Described

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
MetricName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]  # rougeL is its name everywhere
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        others = ", ".join(map(str, dict.fromkeys(seeds)))
        raise UnfitError("`seeds` must be distinct: each seed is a candidate of its own", f"write [{others}]")
    return seeds


Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]


class Strict(Described):
    """Unknown keys, wrong types and non-finite numbers are errors; nothing is coerced; nothing changes later.

    Its validator is built when it is first used: most models are only ever used as a part of another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Options(Strict):
    """Base of the options of techniques and metrics. A field's docstring is its help, schema text and reference."""
