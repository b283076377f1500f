"""The rules on families of techniques, as a table: when, what it says, why, and who found it. A technique brings those
that are about itself."""

from __future__ import annotations

from customspec.hookspecs.advice import Facts, Rule, Rung


def _too_large(facts: Facts, rung: Rung) -> bool:
    return None not in (facts.memory_bytes, rung.memory_bytes) and (rung.memory_bytes or 0) > (facts.memory_bytes or 0)


def _long(facts: Facts, rung: Rung) -> bool:
    return rung.prompt_tokens is not None and rung.prompt_tokens >= 4 * facts.fewest_tokens > 0


RULES: tuple[Rule, ...] = (
    Rule(
        "a_prompt_is_paid_at_every_request",
        "its prompt is four times as long as the shortest, or longer",
        _long,
        "mind",
        "every request pays {rung.prompt_tokens:.0f} prompt tokens, where the shortest candidate pays "
        "{facts.fewest_tokens:.0f}; tuning pays once",
        "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
        on=("prompting",),
    ),
    Rule(
        "too_few_rows_to_tune",
        "there are fewer than 10 training rows",
        lambda facts, rung: facts.train_rows < 10,
        "skip",
        "{facts.train_rows} training rows are too few to learn from; show them in the prompt",
        "OpenAI, Supervised fine-tuning guide: 10 examples at least",
        on=("tuning",),
    ),
    Rule(
        "few_rows_to_tune",
        "there are 10 to 49 training rows",
        lambda facts, rung: 10 <= facts.train_rows < 50,
        "mind",
        "gains are usually seen from 50 to 100 rows on; there are {facts.train_rows}",
        "OpenAI, Supervised fine-tuning guide: improvements on 50 to 100 examples",
        on=("tuning",),
    ),
    Rule(
        "seeds_show_the_spread",
        "there are fewer than 1,000 training rows, and one seed",
        lambda facts, rung: facts.train_rows < 1000 and facts.seeds == 1,
        "mind",
        "on {facts.train_rows} rows another seed gives another quality: `seeds: [0, 1, 2]` shows how far apart",
        "Mosbach et al. 2021, On the Stability of Fine-tuning BERT",
        on=("tuning",),
    ),
    Rule(
        "memory",
        "the estimate of its memory is more than the device has",
        _too_large,
        "skip",
        "it needs about {memory}; this machine has {there}",
        "the estimate of `customspec plan`",
        on=("prompting", "tuning"),
    ),
)
