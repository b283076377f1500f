"""Few-shot prompting: demonstrations from the training rows stand before the query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from customspec.hookspecs import PromptingTechnique, Selector, hookimpl
from customspec.prompts import Example
from customspec.spec import Options
from customspec_prompting.drawing import Select, draw


class FewShotOptions(Options):
    """How many demonstrations, and which."""

    shots: int = Field(8, ge=1, le=1000)
    """Demonstrations before the query."""
    select: Select = "balanced"
    """`random`: any training rows. `balanced`: the answers take turns, so that each is shown equally often."""


class FewShot:
    """The same demonstrations for every query, drawn under the seed, in the order drawn."""

    name = "few_shot"
    family: Literal["prompting"] = "prompting"
    summary = (
        "Training rows with their answers stand before the query as earlier turns. Needs no training; costs prompt "
        "tokens at every request. Brown et al. 2020, Language Models are Few-Shot Learners."
    )
    options = FewShotOptions

    def shots(self, options: FewShotOptions) -> int:
        return options.shots

    def select(self, options: FewShotOptions, rows: Sequence[Example], seed: int) -> Selector:
        # one spare: a query that is itself among the drawn gives its place to the next, all others see the same
        drawn = draw(rows, options.shots + 1, options.select, seed)
        return lambda query: [shot for shot in drawn if shot.id != query.id][: options.shots]


@hookimpl
def customspec_techniques() -> Sequence[PromptingTechnique]:
    return [FewShot()]
