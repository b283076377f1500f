"""Every rule on techniques, where it speaks and where it is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from customspec.decide.advice.advise import advise_rung
from customspec.decide.advice.facts import Facts, Rung
from customspec.decide.advice.rules import RULES
from customspec.prompts import Example

GIB = 2**30
TUNING = {"lora", "full", "prompt_tuning", "p_tuning", "prefix_tuning", "ia3"}


def rung(technique: str, *, tokens: float = 50, memory: int = GIB, **options: Any) -> Rung:
    family: Any = "tuning" if technique in TUNING else "prompting"
    trained = 1000 if family == "tuning" else 0
    return Rung(f"{technique}@0", technique, family, options, tokens, trained, memory)


def facts(
    rows: int = 400,
    parameters: int | None = 7 * 10**9,
    *,
    seeds: int = 3,
    memory: int | None = 80 * GIB,
    choices: tuple[str, ...] | None = ("a", "b"),
) -> Facts:
    train = tuple(Example(f"train:{i}", None, f"question {i}", "a") for i in range(rows))
    return Facts({"train": train}, {}, {}, choices, "accuracy", seeds, (rung("zero_shot"),), parameters, 4096, memory)


CASES: list[tuple[str, Facts, Rung, bool]] = [
    ("nothing_is_cheaper", facts(), rung("zero_shot"), True),
    ("nothing_is_cheaper", facts(), rung("one_shot"), False),
    ("demonstrations_want_size", facts(parameters=10**9), rung("few_shot"), True),
    ("demonstrations_want_size", facts(parameters=1_300_000_000), rung("few_shot"), False),
    ("demonstrations_want_size", facts(parameters=None), rung("few_shot"), False),
    ("demonstrations_bias", facts(), rung("few_shot", calibrate="none"), True),
    ("demonstrations_bias", facts(), rung("few_shot", calibrate="contextual"), False),
    ("demonstrations_bias", facts(choices=None), rung("few_shot", calibrate="none"), False),
    ("similar_demonstrations", facts(200), rung("few_shot", select="balanced"), True),
    ("similar_demonstrations", facts(199), rung("few_shot", select="balanced"), False),
    ("similar_demonstrations", facts(200), rung("few_shot", select="similar"), False),
    ("reasoning_wants_size", facts(parameters=10**9), rung("chain_of_thought"), True),
    ("reasoning_wants_size", facts(), rung("self_consistency"), False),
    ("reasoning_may_want_more_size", facts(parameters=7 * 10**9), rung("self_consistency"), True),
    ("reasoning_may_want_more_size", facts(parameters=10**9), rung("chain_of_thought"), False),
    ("reasoning_may_want_more_size", facts(parameters=10**11), rung("chain_of_thought"), False),
    ("reasoning_may_want_more_size", facts(parameters=None), rung("chain_of_thought"), False),
    ("a_prompt_is_paid_at_every_request", facts(), rung("few_shot", tokens=200), True),
    ("a_prompt_is_paid_at_every_request", facts(), rung("few_shot", tokens=199), False),
    ("too_few_rows_to_tune", facts(9), rung("lora"), True),
    ("too_few_rows_to_tune", facts(10), rung("lora"), False),
    ("too_few_rows_to_tune", facts(9), rung("few_shot"), False),
    ("few_rows_to_tune", facts(10), rung("ia3"), True),
    ("few_rows_to_tune", facts(50), rung("ia3"), False),
    ("seeds_show_the_spread", facts(999, seeds=1), rung("lora"), True),
    ("seeds_show_the_spread", facts(999, seeds=2), rung("lora"), False),
    ("seeds_show_the_spread", facts(1000, seeds=1), rung("lora"), False),
    ("memory", facts(memory=GIB), rung("full", memory=GIB + 1), True),
    ("memory", facts(memory=GIB), rung("full", memory=GIB), False),
    ("memory", facts(memory=None), rung("full", memory=GIB), False),
    ("soft_prompts_want_size", facts(parameters=10**9 - 1), rung("prompt_tuning"), True),
    ("soft_prompts_want_size", facts(parameters=10**9), rung("prompt_tuning"), False),
    ("input_prompts_want_size", facts(parameters=10**9 - 1), rung("p_tuning"), True),
    ("input_prompts_want_size", facts(parameters=10**9), rung("p_tuning"), False),
    ("prefixes_suit_few_rows", facts(50), rung("prefix_tuning"), True),
    ("prefixes_suit_few_rows", facts(500), rung("prefix_tuning"), False),
    ("lora_first", facts(50), rung("lora"), True),
    ("lora_first", facts(49), rung("lora"), False),
    ("full_after_lora", facts(9_999), rung("full"), True),
    ("full_after_lora", facts(10_000), rung("full"), False),
]


@pytest.mark.parametrize(("name", "seen", "on", "applies"), CASES)
def test_a_rule_speaks_where_it_should(name: str, seen: Facts, on: Rung, applies: bool) -> None:
    (rule,) = (rule for rule in RULES if rule.name == name)
    assert rule.applies(seen, on) is applies
    if applies:
        (reason,) = advise_rung(seen, on, [rule]).reasons
        assert "{" not in reason.because
        assert reason.source


def test_every_rule_is_tried_both_ways() -> None:
    tried: Mapping[str, set[bool]] = {rule.name: {c[3] for c in CASES if c[0] == rule.name} for rule in RULES}
    assert all(both == {True, False} for both in tried.values()), tried
    assert len(tried) == len(RULES), "two rules of one name"


def test_what_a_rule_would_skip_is_skipped_and_said_first() -> None:
    advised = advise_rung(facts(400, 10**8, seeds=1), rung("prompt_tuning"))
    assert advised.verdict == "skip"
    assert [reason.says for reason in advised.reasons] == ["skip", "mind"]
    assert "this base has 100,000,000" in advised.reasons[0].because
    assert advise_rung(facts(), rung("lora")).verdict == "try"


def test_memory_is_told_in_gib() -> None:
    (reason,) = (r for r in advise_rung(facts(memory=GIB), rung("full", memory=3 * GIB)).reasons if r.rule == "memory")
    assert "needs about 3.0 GiB" in reason.because
    assert "has 1.0 GiB" in reason.because
