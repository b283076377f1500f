"""Ways in which learned prompts and adapters go wrong in silence: rows that see each other, prefixes that are lost,
positions that drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from tiny import Make
from torch import Tensor, nn
from transformers import PreTrainedModel

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.ml.adapters import attach
from customspec.ml.forward import Forward, collate, features_of, supervised
from customspec.prompts import Example
from customspec_tuning.ml.soft_prompts import embeddings_of, set_prefix, set_prompt, steer_encoder

PAD = 0
COMMON = tuple(range(10, 42))
WAYS = {
    "whole": Forward(),
    "shared": Forward(COMMON, apart=True),
    "line": Forward(COMMON, apart=True, line=512),
}
TEXT = (45, 50, 55, 61, 70)
OWN: Mapping[str, dict[str, Any]] = {"qwen3": {"num_key_value_heads": 2, "head_dim": 16}}
ARCHITECTURES = ("llama", "gpt2", "qwen2", "qwen3", "gemma", "gemma2", "opt")


def row(number: int, own: Sequence[int], answer: Sequence[int]) -> Encoded:
    return Encoded(Example(f"train:{number}", None, "", ""), (*COMMON, *own), tuple(answer))


ROWS = [row(0, (43, 44), (60, 61)), row(1, range(50, 59), (70,)), row(2, (80,), (81, 82, 83, 84, 85, 86))]


def soft(method: str) -> PeftConfig:
    count: dict[str, Any] = {"task_type": "CAUSAL_LM", "num_virtual_tokens": len(TEXT)}
    if method == "prompt":
        return PromptTuningConfig(**count)
    if method == "prefix":
        return PrefixTuningConfig(**count)
    return PromptEncoderConfig(**count, encoder_reparameterization_type="LSTM", encoder_hidden_size=8)


def begun_at_text(base: PreTrainedModel, method: str) -> nn.Module:
    """The model with a learned prompt that stands for TEXT."""
    model = attach(base, soft(method))
    if method == "prefix":
        set_prefix(model, TEXT)
    else:
        (set_prompt if method == "prompt" else steer_encoder)(model, embeddings_of(model, [[token] for token in TEXT]))
    return model


def answer_logits(model: nn.Module, rows: Sequence[Encoded], forward: Forward) -> Tensor:
    """Of the first row's answer tokens, when it is in a batch with the others."""
    batch = collate(features_of(rows, forward), PAD)
    predicting, _ = supervised(batch)
    with torch.no_grad():
        return forward.answer_logits(model, batch, predicting)[: len(rows[0].answer)]


def checkpoint_activations(model: nn.Module) -> None:
    base: Any = model.get_base_model()  # type: ignore[operator]
    getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)()  # its name up to 5.22


# --- positions, shapes: a prompt that begins at a text is that text


@pytest.mark.parametrize("method", ["prompt", "prefix", "p_tuning"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_learned_prompt_that_begins_at_a_text_is_that_text(tiny_model: Make, architecture: str, method: str) -> None:
    base = tiny_model(architecture, **OWN.get(architecture, {}))
    whole = torch.tensor([[*TEXT, *ROWS[0].prompt, *ROWS[0].answer]])
    with torch.no_grad():
        expected = base(input_ids=whole, use_cache=False).logits[0, -len(ROWS[0].answer) - 1 : -1]
    model = begun_at_text(base, method).eval()
    for forward in WAYS.values():
        found = answer_logits(model, ROWS, forward)
        assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max())), forward


# --- rows do not see each other, however they are batched


@pytest.mark.parametrize("method", ["lora", "prompt", "prefix", "p_tuning"])
@pytest.mark.parametrize("forward", WAYS.values(), ids=WAYS)
def test_no_row_sees_another_under_a_learned_prompt_either(tiny_model: Make, method: str, forward: Forward) -> None:
    torch.manual_seed(1)
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
    model = attach(tiny_model("llama"), lora if method == "lora" else soft(method)).eval()
    alone = answer_logits(model, ROWS[:1], forward)
    others = [row(1, range(61, 90), (91, 92)), row(2, (93,), (94,))]
    for companions in (ROWS[1:], others):
        assert torch.allclose(answer_logits(model, [ROWS[0], *companions], forward), alone, atol=1e-5)


def test_a_whole_row_is_shown_without_a_cache(tiny_model: Make) -> None:
    # with a cache, transformers no longer notices packed rows, and lets them see each other
    model = tiny_model("llama")
    shown: list[Any] = []
    model.register_forward_pre_hook(lambda _, __, named: shown.append(named), with_kwargs=True)
    answer_logits(model, ROWS, Forward())
    assert [named["use_cache"] for named in shown] == [False]
    assert torch.equal(shown[0]["attention_mask"].sum(1), torch.tensor([len(r.prompt) + len(r.answer) for r in ROWS]))


# --- activation checkpointing drops caches


def test_under_activation_checkpointing_nothing_is_left_to_a_cache(tiny_model: Make) -> None:
    model = attach(tiny_model("llama"), LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    assert Forward.of(model, ROWS, batch=3, pad=PAD).apart
    model.train()
    checkpoint_activations(model)
    assert Forward.of(model, ROWS, batch=3, pad=PAD) == Forward()


def test_a_learned_prefix_under_activation_checkpointing_is_refused(tiny_model: Make) -> None:
    model = attach(tiny_model("llama"), soft("prefix")).train()
    assert Forward.of(model, ROWS, batch=3, pad=PAD).apart
    checkpoint_activations(model)
    with pytest.raises(StepError, match="drops a learned prefix"):
        Forward.of(model, ROWS, batch=3, pad=PAD)
