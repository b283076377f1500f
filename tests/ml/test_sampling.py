"""Sampled generation: drawn as the model's probabilities have it, repeatable, one pass over a prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from peft import PeftConfig
from scipy.stats import chisquare
from tiny import APART, HEAD, LORA, PREFIX, PROMPT, TOGETHER, Make, Tune, Watch, numbers
from torch import nn

from customspec.hookspecs import Sampling
from customspec.ml.generation import generate, sample

NEW = 6
ALMOST_GREEDY = Sampling(samples=3, temperature=1e-4)


def drawn(
    model: nn.Module, prompts: Sequence[list[int]], sampling: Sampling, *, seed: int = 0, **more: Any
) -> list[list[str]]:
    options = {"max_new_tokens": NEW, "ends": (), "decode": numbers, "pad": 0, **more}
    return [[one.text for one in row] for row in sample(model, prompts, sampling, seed=seed, **options)]


def greedy(model: nn.Module, prompts: Sequence[list[int]]) -> list[str]:
    return [one.text for one in generate(model, prompts, max_new_tokens=NEW, ends=(), decode=numbers, pad=0)]


def probabilities(model: nn.Module, prompt: list[int], temperature: float) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=torch.tensor([prompt])).logits[0, -1]
    return (logits.double() / temperature).softmax(-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_with_the_models_probabilities(tiny_model: Make, temperature: float) -> None:
    model, count = tiny_model("llama"), 5000
    expected = probabilities(model, APART[0], temperature) * count
    [texts] = drawn(model, APART[:1], Sampling(count, temperature), max_new_tokens=1, tokens_per_batch=10**6)
    found = Counter(map(int, texts))
    often = [token for token in range(97) if expected[token] >= 5]
    assert len(often) > 10
    counts = [found[token] for token in often]
    rest = count - sum(counts)
    wanted = [float(expected[token]) for token in often]
    assert chisquare([*counts, rest], [*wanted, count - sum(wanted)]).pvalue > 0.001


def test_later_tokens_are_drawn_from_what_stands_before_them(tiny_model: Make) -> None:
    model, count = tiny_model("llama"), 3000
    [texts] = drawn(model, APART[:1], Sampling(count, 1.0), max_new_tokens=2, tokens_per_batch=10**6)
    pairs = [tuple(map(int, text.split())) for text in texts]
    [(first, seen)] = Counter(pair[0] for pair in pairs).most_common(1)
    expected = probabilities(model, [*APART[0], first], 1.0) * seen
    often = [token for token in range(97) if expected[token] >= 5]
    counts = [sum(pair == (first, token) for pair in pairs) for token in often]
    wanted = [float(expected[token]) for token in often]
    assert chisquare([*counts, seen - sum(counts)], [*wanted, seen - sum(wanted)]).pvalue > 0.001


def test_top_p_draws_from_the_nucleus_alone(tiny_model: Make) -> None:
    model = tiny_model("llama")
    chances, order = probabilities(model, APART[1], 1.0).sort(descending=True)
    nucleus = set(order[: int((chances.cumsum(0) < 0.5).sum()) + 1].tolist())
    [texts] = drawn(model, APART[1:2], Sampling(1000, 1.0, 0.5), max_new_tokens=1, tokens_per_batch=10**6)
    assert set(map(int, texts)) == nucleus


@pytest.mark.parametrize("prompts", [TOGETHER, APART, TOGETHER[:1], [[5]]], ids=["together", "apart", "one", "short"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "opt", "mistral", "bloom", "mamba"])
def test_next_to_no_temperature_every_sample_is_the_greedy_text(
    tiny_model: Make, architecture: str, prompts: list[list[int]]
) -> None:
    model = tiny_model(architecture)
    expected = [[text] * 3 for text in greedy(model, prompts)]
    assert drawn(model, prompts, ALMOST_GREEDY) == expected


@pytest.mark.parametrize("prompts", [TOGETHER, APART], ids=["together", "apart"])
@pytest.mark.parametrize("config", [LORA, PREFIX, PROMPT], ids=lambda config: str(config.peft_type))
def test_an_adapter_speaks_in_every_sample(
    tiny_model: Make, tuned: Tune, config: PeftConfig, prompts: list[list[int]]
) -> None:
    model = tuned(tiny_model("llama"), config)
    assert drawn(model, prompts, ALMOST_GREEDY) == [[text] * 3 for text in greedy(model, prompts)]


@pytest.mark.parametrize("architecture", ["llama", "mamba"])
def test_a_seed_and_a_prompt_give_the_same_samples_whatever_is_beside(tiny_model: Make, architecture: str) -> None:
    model, sampling = tiny_model(architecture), Sampling(4, 1.0)
    whole = drawn(model, TOGETHER, sampling)
    assert whole == drawn(model, TOGETHER, sampling)
    assert whole == drawn(model, TOGETHER, sampling, tokens_per_batch=1)
    assert whole[::-1] == drawn(model, TOGETHER[::-1], sampling)
    assert whole[2:4] == drawn(model, TOGETHER[2:4], sampling)
    assert [row[:2] for row in whole] == drawn(model, TOGETHER, Sampling(2, 1.0))


def test_other_seeds_prompts_and_samples_are_drawn_apart(tiny_model: Make) -> None:
    model, sampling = tiny_model("llama"), Sampling(4, 1.0)
    texts = [text for seed in (0, 1) for row in drawn(model, TOGETHER, sampling, seed=seed) for text in row]
    assert len(set(texts)) == len(texts)


def test_drawing_leaves_the_random_numbers_of_others_alone(tiny_model: Make) -> None:
    model = tiny_model("llama")
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    drawn(model, TOGETHER, Sampling(2, 1.0))
    assert torch.equal(torch.rand(4), expected)


def test_the_samples_of_a_prompt_share_one_pass_over_it(tiny_model: Make, watched: Watch) -> None:
    model, samples = tiny_model("llama"), 4
    fed = watched(model)
    drawn(model, TOGETHER, Sampling(samples, 1.0), tokens_per_batch=10**6)
    rows, width = len(TOGETHER), 12
    expected = [(1, len(HEAD)), (rows, width - 1), *[(rows * samples, 1)] * NEW]
    assert fed[-len(expected) :] == expected
