"""The rules on techniques, as a table: on which rung, when, what it says, why, and who found it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from customspec.decide.advice.facts import Facts, Rung

Verdict = Literal["try", "mind", "skip"]
BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Rule:
    """`on`: techniques, or a family. `when` says in words what `holds` computes. `because` is filled with `rung` and
    `facts`."""

    name: str
    on: tuple[str, ...]
    when: str
    holds: Callable[[Facts, Rung], bool]
    says: Verdict
    because: str
    source: str

    def applies(self, facts: Facts, rung: Rung) -> bool:
        return bool({rung.technique, rung.family} & set(self.on)) and self.holds(facts, rung)


def _small(facts: Facts, billions: float) -> bool:
    return facts.parameters is not None and facts.parameters < billions * BILLION


def _too_large(facts: Facts, rung: Rung) -> bool:
    return None not in (facts.memory_bytes, rung.memory_bytes) and (rung.memory_bytes or 0) > (facts.memory_bytes or 0)


def _long(facts: Facts, rung: Rung) -> bool:
    return rung.prompt_tokens is not None and rung.prompt_tokens >= 4 * facts.fewest_tokens > 0


RULES: tuple[Rule, ...] = (
    Rule(
        "nothing_is_cheaper",
        ("zero_shot",),
        "always",
        lambda facts, rung: True,
        "try",
        "it trains nothing and has the shortest prompt: whatever else is tried is measured against it",
        "the ladder's order, docs/decision.md",
    ),
    Rule(
        "demonstrations_want_size",
        ("one_shot", "few_shot"),
        "the base has fewer than 1.3 billion parameters",
        lambda facts, rung: _small(facts, 1.3),
        "mind",
        "what demonstrations add grows with the model, and is little at {facts.parameters:,} parameters",
        "Brown et al. 2020, Language Models are Few-Shot Learners",
    ),
    Rule(
        "demonstrations_bias",
        ("one_shot", "few_shot"),
        "choices are scored, and `calibrate` is `none`",
        lambda facts, rung: facts.choices is not None and rung.options.get("calibrate") == "none",
        "mind",
        "demonstrations pull answers to their own labels, the last one's most: `calibrate: contextual` is worth a "
        "candidate",
        "Zhao et al. 2021, Calibrate Before Use",
    ),
    Rule(
        "similar_demonstrations",
        ("few_shot",),
        "there are 200 training rows or more, and `select` is not `similar`",
        lambda facts, rung: facts.train_rows >= 200 and rung.options.get("select") != "similar",
        "mind",
        "out of {facts.train_rows} training rows `select: similar` can show each question its nearest ones",
        "Liu et al. 2022, What Makes Good In-Context Examples for GPT-3?",
    ),
    Rule(
        "reasoning_wants_size",
        ("chain_of_thought", "self_consistency"),
        "the base has fewer than 7 billion parameters",
        lambda facts, rung: _small(facts, 7),
        "skip",
        "reasoning in words helped models of about 100 billion parameters, and made small ones fluent and wrong; this "
        "base has {facts.parameters:,}",
        "Wei et al. 2022, Chain-of-Thought Prompting Elicits Reasoning; the border of 7 billion is ours",
    ),
    Rule(
        "reasoning_may_want_more_size",
        ("chain_of_thought", "self_consistency"),
        "the base has 7 to 100 billion parameters",
        lambda facts, rung: not _small(facts, 7) and _small(facts, 100),
        "mind",
        "reasoning in words was first seen to help at about 100 billion parameters; this base has "
        "{facts.parameters:,}, and only a run tells",
        "Wei et al. 2022, Chain-of-Thought Prompting Elicits Reasoning",
    ),
    Rule(
        "a_prompt_is_paid_at_every_request",
        ("prompting",),
        "its prompt is four times as long as the shortest, or longer",
        _long,
        "mind",
        "every request pays {rung.prompt_tokens:.0f} prompt tokens, where the shortest candidate pays "
        "{facts.fewest_tokens:.0f}; tuning pays once",
        "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
    ),
    Rule(
        "too_few_rows_to_tune",
        ("tuning",),
        "there are fewer than 10 training rows",
        lambda facts, rung: facts.train_rows < 10,
        "skip",
        "{facts.train_rows} training rows are too few to learn from; show them in the prompt",
        "OpenAI, Supervised fine-tuning guide: 10 examples at least",
    ),
    Rule(
        "few_rows_to_tune",
        ("tuning",),
        "there are 10 to 49 training rows",
        lambda facts, rung: 10 <= facts.train_rows < 50,
        "mind",
        "gains are usually seen from 50 to 100 rows on; there are {facts.train_rows}",
        "OpenAI, Supervised fine-tuning guide: improvements on 50 to 100 examples",
    ),
    Rule(
        "seeds_show_the_spread",
        ("tuning",),
        "there are fewer than 1,000 training rows, and one seed",
        lambda facts, rung: facts.train_rows < 1000 and facts.seeds == 1,
        "mind",
        "on {facts.train_rows} rows another seed gives another quality: `seeds: [0, 1, 2]` shows how far apart",
        "Mosbach et al. 2021, On the Stability of Fine-tuning BERT",
    ),
    Rule(
        "memory",
        ("prompting", "tuning"),
        "the estimate of its memory is more than the device has",
        _too_large,
        "skip",
        "it needs about {memory}; this machine has {there}",
        "the estimate of `customspec plan`",
    ),
    Rule(
        "soft_prompts_want_size",
        ("prompt_tuning",),
        "the base has fewer than 1 billion parameters",
        lambda facts, rung: _small(facts, 1),
        "skip",
        "prompt tuning comes near to tuning the model from billions of parameters on; this base has "
        "{facts.parameters:,}",
        "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning",
    ),
    Rule(
        "input_prompts_want_size",
        ("p_tuning",),
        "the base has fewer than 1 billion parameters",
        lambda facts, rung: _small(facts, 1),
        "mind",
        "learned input alone falls behind on bases below 10 billion parameters; prefix tuning reaches every layer",
        "Liu et al. 2022, P-Tuning v2",
    ),
    Rule(
        "prefixes_suit_few_rows",
        ("prefix_tuning",),
        "there are 50 to 499 training rows",
        lambda facts, rung: 50 <= facts.train_rows < 500,
        "try",
        "with some hundred rows a prefix does as well as full fine-tuning or better",
        "Li and Liang 2021, Prefix-Tuning",
    ),
    Rule(
        "lora_first",
        ("lora",),
        "there are 50 training rows or more",
        lambda facts, rung: facts.train_rows >= 50,
        "try",
        "the first tuning to try: on data sets of this size it equals full fine-tuning at a small share of its memory",
        "Hu et al. 2021, LoRA; Schulman et al. 2025, LoRA Without Regret",
    ),
    Rule(
        "full_after_lora",
        ("full",),
        "there are fewer than 10,000 training rows",
        lambda facts, rung: facts.train_rows < 10_000,
        "mind",
        "on {facts.train_rows} rows LoRA is not expected to fall behind, and leaves a small artifact: after LoRA, if "
        "that falls short",
        "Schulman et al. 2025, LoRA Without Regret; Biderman et al. 2024, LoRA Learns Less and Forgets Less",
    ),
)
