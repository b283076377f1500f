"""Likelihoods of references: the batched path against the simple one, on every way a model may be made."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from peft import CPTConfig, LoraConfig, PeftConfig, PrefixTuningConfig, PromptEncoderConfig
from peft import PromptTuningConfig as PromptTuning
from tiny import Make, Tune, Watch, drawing
from torch import nn
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from customspec.ml import likelihood
from customspec.ml.likelihood import score_references, score_references_simply

_tokens = drawing()

HEAD = _tokens(9)
TOGETHER = [HEAD + _tokens(count) for count in (3, 7, 1, 5, 12, 1)]
APART = [_tokens(count) for count in (3, 7, 1, 5, 12, 1)]
SAME = [TOGETHER[0]] * 6
REFERENCES = [_tokens(count) for count in (2, 1, 9, 1, 4, 3)]
ADAPTERS: list[PeftConfig] = [
    LoraConfig(task_type="CAUSAL_LM", r=4),
    PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5),
    PromptTuning(task_type="CAUSAL_LM", num_virtual_tokens=5),
    PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=8),
    CPTConfig(task_type="CAUSAL_LM", cpt_token_ids=[4, 5, 6], cpt_mask=[1, 1, 1], cpt_tokens_type_mask=[1, 2, 3]),
]


def gap(model: nn.Module, prompts: list[list[int]], tokens: int | None = None) -> float:
    """By how much score_references is off, at most."""
    some = REFERENCES[: len(prompts)]
    found = score_references(model, prompts, some, pad=0, tokens_per_batch=tokens)
    return max(abs(a - b) for a, b in zip(found, score_references_simply(model, prompts, some), strict=True))


@pytest.mark.parametrize("prompts", [TOGETHER, APART, SAME, TOGETHER[:1]], ids=["together", "apart", "same", "one"])
@pytest.mark.parametrize(
    "architecture", ["llama", "gpt2", "qwen2", "gemma2", "opt", "mamba", "bloom", "gpt_neo", "roberta"]
)
def test_batched_and_simple_likelihoods_are_the_same(
    tiny_model: Make, architecture: str, prompts: list[list[int]]
) -> None:
    assert gap(tiny_model(architecture), prompts) < 1e-5


@pytest.mark.parametrize("prompts", [TOGETHER, APART, TOGETHER[:1]], ids=["together", "apart", "one"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.peft_type.value)
def test_an_adapter_counts(tiny_model: Make, tuned: Tune, adapter: PeftConfig, prompts: list[list[int]]) -> None:
    bare = score_references_simply(tiny_model("llama"), prompts, REFERENCES[: len(prompts)])
    model = tuned(tiny_model("llama"), adapter)
    assert gap(model, prompts) < 1e-5
    assert score_references(model, prompts, REFERENCES[: len(prompts)], pad=0) != pytest.approx(bare, abs=1e-2)


@pytest.mark.parametrize("tokens", [1, 20, 40, 10_000])
def test_the_size_of_a_batch_changes_nothing(tiny_model: Make, tokens: int) -> None:
    assert gap(tiny_model("llama"), TOGETHER, tokens) < 1e-5


def test_a_pass_keeps_as_many_logits_as_fit(tiny_model: Make, watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "_LOGITS_PER_PASS", 97 * 30)
    model = tiny_model("llama")
    shapes = watched(model)
    score_references(model, SAME, [[5, 6, 7, 2]] * 6, pad=0)
    assert [shape[0] for shape in shapes[-1:]] == [6]  # four columns each
    del shapes[:]
    score_references(model, SAME, [_tokens(10)] * 6, pad=0)
    assert [shape[0] for shape in shapes[-2:]] == [3, 3]  # ten columns each


def test_what_all_prompts_share_is_fed_once(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    shapes = watched(model)
    prompts = [HEAD * 5 + prompt for prompt in APART]
    score_references(model, prompts, REFERENCES, pad=0)
    assert (1, 45) in shapes
    longest = max(len(own) + len(reference) - 1 for own, reference in zip(APART, REFERENCES, strict=True))
    assert shapes[-1] == (6, longest)


def test_a_likelihood_is_the_sum_over_tokens_and_all_tokens_add_up_to_one(tiny_model: Make) -> None:
    model, prompt = tiny_model("gpt2"), TOGETHER[0]
    [whole] = score_references(model, [prompt], [[7, 8, 2]], pad=0)
    steps = score_references(model, [prompt, [*prompt, 7], [*prompt, 7, 8]], [[7], [8], [2]], pad=0)
    assert whole == pytest.approx(sum(steps), abs=1e-5)
    every = score_references(model, [prompt] * 97, [[token] for token in range(97)], pad=0)
    assert math.fsum(map(math.exp, every)) == pytest.approx(1, abs=1e-5)


def test_progress_counts_every_row(tiny_model: Make) -> None:
    told: list[int] = []
    score_references(tiny_model("llama"), TOGETHER, REFERENCES, pad=0, tokens_per_batch=40, progress=told.append)
    assert sum(told) == len(TOGETHER)
    assert len(told) > 1


@pytest.mark.parametrize("score", [lambda *given: score_references(*given, pad=0), score_references_simply])
@pytest.mark.parametrize(
    ("prompts", "references", "message"),
    [
        ([], [], "no prompts"),
        ([[5]], [[]], "reference has no tokens: number 1"),
        ([[5], []], [[5], [5]], "prompt has no tokens: number 2"),
        ([[5], [6]], [[5]], "2 prompts and 1 references"),
    ],
)
def test_rows_without_tokens_are_refused(
    tiny_model: Make,
    score: Callable[..., list[float]],
    prompts: list[list[int]],
    references: list[list[int]],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        score(tiny_model("llama"), prompts, references)


def test_an_encoder_decoder_is_refused() -> None:
    config = AutoConfig.for_model("t5", d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, vocab_size=97)
    with pytest.raises(ValueError, match="encoder-decoder"):
        score_references(AutoModelForSeq2SeqLM.from_config(config), [[5]], [[6]], pad=0)
