"""Chain of thought: the model reasons in words before it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from customspec.hookspecs import PromptingTechnique, Sampling, hookimpl
from customspec_prompting.reasoning import NEW_TOKENS, Reasoning, ReasoningOptions


class ChainOfThoughtOptions(ReasoningOptions):
    """The reasoning, and where in it the answer stands."""


class ChainOfThought(Reasoning):
    """One greedy chain; what stands after the marker is the answer."""

    name = "chain_of_thought"
    family: Literal["prompting"] = "prompting"
    summary = (
        "The model writes its reasoning before its answer: shown by demonstrations with a `rationale` column, or asked "
        "for by a sentence. For questions of several steps, with models that are large enough to reason; costs many "
        "generated tokens, and choices are read out of the text instead of scored. Wei et al. 2022, Chain-of-Thought "
        "Prompting Elicits Reasoning in Large Language Models; Kojima et al. 2022, Large Language Models are Zero-Shot "
        "Reasoners."
    )
    options = ChainOfThoughtOptions

    def decoding(self, options: ChainOfThoughtOptions) -> Sampling:
        return Sampling(max_new_tokens=None if options.rationale else NEW_TOKENS)


@hookimpl
def customspec_techniques() -> Sequence[PromptingTechnique]:
    return [ChainOfThought()]
