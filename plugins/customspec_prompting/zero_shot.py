"""Zero-shot prompting: the instruction alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import PromptingTechnique, Rule, Selector, hookimpl
from customspec.prompts import Example
from customspec.spec import PromptingOptions


class ZeroShotOptions(PromptingOptions):
    """How scores of choices are corrected."""


class ZeroShot:
    """No demonstrations."""

    name = "zero_shot"
    family: Literal["prompting"] = "prompting"
    summary = (
        "The instruction and the query, no demonstrations. The cheapest thing to try, and the baseline of all others. "
        "Radford et al. 2019, Language Models are Unsupervised Multitask Learners."
    )
    options = ZeroShotOptions
    rules = (
        Rule(
            "nothing_is_cheaper",
            "always",
            lambda facts, rung: True,
            "try",
            "it trains nothing and has the shortest prompt: whatever else is tried is measured against it",
            "the ladder's order, docs/decision.md",
        ),
    )

    def shots(self, options: ZeroShotOptions) -> int:
        return 0

    def select(self, options: ZeroShotOptions, rows: Sequence[Example], seed: int) -> Selector:
        return lambda query: ()


@hookimpl
def customspec_techniques() -> Sequence[PromptingTechnique]:
    return [ZeroShot()]
