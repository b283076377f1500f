"""Self-consistency: several chains of thought are sampled, and their answers vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from customspec.hookspecs import PromptingTechnique, Sampling, hookimpl
from customspec_prompting.reasoning import NEW_TOKENS, Reasoning, ReasoningOptions


class SelfConsistencyOptions(ReasoningOptions):
    """The chains that vote, the reasoning in them, and where the answer stands."""

    samples: int = Field(10, ge=2, le=1000)
    """Chains sampled for a query. The paper takes 40, and most of the gain comes with the first ten."""
    temperature: float = Field(0.7, gt=0, le=5)
    """Temperature of the samples; the paper's for PaLM-540B and GPT-3; for UL2-20B and
    LaMDA-137B it takes 0.5."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Of the likeliest tokens, only those that together have this probability are drawn."""


class SelfConsistency(Reasoning):
    """The answer of most chains; of equal ones, that which came first, and the tie is recorded."""

    name = "self_consistency"
    family: Literal["prompting"] = "prompting"
    summary = (
        "Several chains of thought are sampled, and the answer that most of them reach is taken; chains in which no "
        "answer can be read do not vote. Better than one chain, at the cost of as many generations. Wang et al. 2022, "
        "Self-Consistency Improves Chain of Thought Reasoning in Language Models."
    )
    options = SelfConsistencyOptions

    def decoding(self, options: SelfConsistencyOptions) -> Sampling:
        limit = None if options.rationale else NEW_TOKENS
        return Sampling(options.samples, options.temperature, options.top_p, limit)


@hookimpl
def customspec_techniques() -> Sequence[PromptingTechnique]:
    return [SelfConsistency()]
