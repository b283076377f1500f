"""Every rule on techniques, where it speaks and where it is silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from customspec.decide.advice.advise import advise_rung
from customspec.decide.advice.rules import RULES
from customspec.hookspecs import Advises, Facts, Rule, Rung
from customspec.prompts import Example
from customspec.registry import discover

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


def own(technique: str) -> Sequence[Rule]:
    found = discover().technique(technique)
    return found.rules if isinstance(found, Advises) else ()


@pytest.mark.parametrize(("name", "seen", "on", "applies"), CASES)
def test_a_rule_speaks_where_it_should(name: str, seen: Facts, on: Rung, applies: bool) -> None:
    said = [reason for reason in advise_rung(seen, on, own(on.technique)).reasons if reason.rule == name]
    assert bool(said) is applies
    assert all(reason.source and "{" not in reason.because for reason in said)


def test_every_rule_is_tried_both_ways() -> None:
    brought = {rule.name for name in discover().names("technique") for rule in own(name)}
    tried = {name: {case[3] for case in CASES if case[0] == name} for name in (*brought, *(r.name for r in RULES))}
    assert all(both == {True, False} for both in tried.values()), tried
    assert len(tried) == len(brought) + len(RULES), "two rules of one name"


def test_what_a_rule_would_skip_is_skipped_and_said_first() -> None:
    advised = advise_rung(facts(400, 10**8, seeds=1), rung("prompt_tuning"), own("prompt_tuning"))
    assert advised.verdict == "skip"
    assert [reason.says for reason in advised.reasons] == ["skip", "mind"]
    assert "this base has 100,000,000" in advised.reasons[0].because
    assert advise_rung(facts(), rung("lora"), own("lora")).verdict == "try"


def test_memory_is_told_in_gib() -> None:
    (reason,) = (r for r in advise_rung(facts(memory=GIB), rung("full", memory=3 * GIB)).reasons if r.rule == "memory")
    assert "needs about 3.0 GiB" in reason.because
    assert "has 1.0 GiB" in reason.because
