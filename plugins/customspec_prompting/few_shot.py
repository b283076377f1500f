"""Few-shot prompting: demonstrations from the training rows stand before the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from customspec.hookspecs import PromptingTechnique, Refusal, Rule, Selector, hookimpl
from customspec.prompts import Example
from customspec_prompting.demonstrations import RULES, DemonstrationOptions, refusal, selector


class FewShotOptions(DemonstrationOptions):
    """How many demonstrations, and which."""


class FewShot:
    """Demonstrations chosen as `select` says; a query is never its own."""

    name = "few_shot"
    family: Literal["prompting"] = "prompting"
    summary = (
        "Training rows with their answers stand before the query as earlier turns. Needs no training; costs prompt "
        "tokens at every request. `select: similar` (Liu et al. 2022, What Makes Good In-Context Examples for GPT-3?) "
        "often helps most where there are many answers, but no two queries then share their demonstrations. "
        "Brown et al. 2020, Language Models are Few-Shot Learners."
    )
    options = FewShotOptions
    rules = (
        *RULES,
        Rule(
            "similar_demonstrations",
            "there are 200 training rows or more, and `select` is not `similar`",
            lambda facts, rung: facts.train_rows >= 200 and rung.options.get("select") != "similar",
            "mind",
            "out of {facts.train_rows} training rows `select: similar` can show each question its nearest ones",
            "Liu et al. 2022, What Makes Good In-Context Examples for GPT-3?",
        ),
    )

    def shots(self, options: FewShotOptions) -> int:
        return options.count

    def select(self, options: FewShotOptions, rows: Sequence[Example], seed: int) -> Selector:
        return selector(options, rows, seed)

    def refusal(self, options: FewShotOptions, rows: Sequence[Example]) -> Refusal | None:
        return refusal(options, rows)

    def files(self, options: FewShotOptions) -> Mapping[str, str]:
        return {} if options.embeddings is None else {"embeddings": options.embeddings}


@hookimpl
def customspec_techniques() -> Sequence[PromptingTechnique]:
    return [FewShot()]
