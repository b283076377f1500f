"""Patterns that a library compares with the names of modules: those that might take for ever are found."""

from __future__ import annotations

import pytest

from customspec.patterns import slow_pattern

USUAL = [
    "all-linear",
    r".*\.(q_proj|v_proj)",
    r".*decoder.*(SelfAttention|EncDecAttention).*(q|v)$",
    r"^(?!.*visual).*(?:q_proj|k_proj)",
    r"model\.layers\.(?:\d|1\d|2[0-7])\.(?:mlp|self_attn)\.(?:down|gate|up|q|k|v|o)_proj",
    ["q_proj", "v_proj"],
    {"rank_pattern": {"q_proj": 4, r"layers\.\d+\.q_proj": 2, r"^.*\.v": 3}},
    {"prompt_tuning_init_text": "Is it ((warm or cold)+)+???", "r": 8, "bias": None},
]
ENDLESS = [
    r"((\w+\.?)+)+!",
    r"(\w*)*!",
    r"(a|a)" * 30,
    "a?" * 40,
    ".*.*.*.*.*x",
    r"(\w+)\1+",
    "(a{1,9}){1,9}",
    "(" * 5000,
    ["q_proj", ".*.*q"],
    {"rank_pattern": {".*.*q": 1}},
    {"layers": [{"deep": ["x)|(a+)+b|(y"]}]},
]


@pytest.mark.parametrize("config", USUAL, ids=str)
def test_usual_patterns_are_none(config: object) -> None:
    assert slow_pattern(config) is None


@pytest.mark.parametrize("config", ENDLESS, ids=lambda config: str(config)[:20])
def test_patterns_of_very_many_ways_are_found(config: object) -> None:
    assert slow_pattern(config) is not None
