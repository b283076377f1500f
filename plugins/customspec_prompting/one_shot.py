"""One-shot prompting: a single demonstration."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import PromptingTechnique, Selector, hookimpl
from customspec.prompts import Example
from customspec.spec import PromptingOptions
from customspec_prompting.demonstrations import RULES, spared


class OneShotOptions(PromptingOptions):
    """How scores of choices are corrected."""


class OneShot:
    """One training row, drawn under the seed; the next one for a query that is itself the drawn row."""

    name = "one_shot"
    family: Literal["prompting"] = "prompting"
    summary = (
        "One training row with its answer stands before the query: shows the form of an answer at little cost. "
        "Brown et al. 2020, Language Models are Few-Shot Learners."
    )
    options = OneShotOptions
    rules = RULES

    def shots(self, options: OneShotOptions) -> int:
        return 1

    def select(self, options: OneShotOptions, rows: Sequence[Example], seed: int) -> Selector:
        return spared(random.Random(seed).sample(rows, len(rows)), 1)


@hookimpl
def customspec_techniques() -> Sequence[PromptingTechnique]:
    return [OneShot()]
