"""The way that runs what rows share once a batch gives the logits and gradients of the way that runs each row whole."""

from __future__ import annotations

import copy
from dataclasses import replace
from math import ceil
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from tiny import Make
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from customspec.estimate.passes import LINE_STEP, pass_sizes
from customspec.inputs.encoding import Encoded
from customspec.ml.adapters import attach
from customspec.ml.batching import bare
from customspec.ml.forward import Forward, collate, features_of, supervised
from customspec.prompts import Example

PAD = 0
LINE = pass_sizes("cpu").sharing.line
COMMON = tuple(range(10, 40))
ROWS = [
    Encoded(Example(f"train:{i}", None, "", ""), (*COMMON, *range(41 + i, 44 + 3 * i)), tuple(range(60, 61 + i)))
    for i in range(5)
]
ADAPTERS: dict[str, PeftConfig | None] = {
    "full": None,
    "lora": LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"),
    "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=7),
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=7),
    "p_tuning": PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=7, encoder_reparameterization_type="LSTM", encoder_hidden_size=8
    ),
}


def adapted(base: PreTrainedModel, adapter: str) -> nn.Module:
    config = ADAPTERS[adapter]
    torch.manual_seed(1)
    model: nn.Module = base if config is None else attach(base, copy.deepcopy(config))  # which notes shapes
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and config is not None and "encoder" not in name:
            nn.init.normal_(parameter, std=0.2)  # LoRA's B begins at zero, where its A has no gradient
    return model


def loss_and_gradients(model: nn.Module, forward: Forward) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    batch = collate(features_of(ROWS, forward), PAD)
    predicting, targets = supervised(batch)
    loss = cross_entropy(forward.answer_logits(model, batch, predicting), targets)
    loss.backward()
    grads = {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}
    return loss.detach(), grads


@pytest.mark.parametrize("line", [LINE, 0], ids=["line", "batch"])
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "gemma", "opt"])
def test_sharing_changes_neither_loss_nor_gradients(
    tiny_model: Make, architecture: str, adapter: str, line: int
) -> None:
    model = adapted(tiny_model(architecture), adapter)
    shared = Forward.of(model, ROWS, batch=len(ROWS), pad=PAD)
    assert shared == Forward(COMMON, apart=True, line=LINE)
    whole_loss, whole = loss_and_gradients(model, Forward())
    loss, gradients = loss_and_gradients(model, replace(shared, line=line))
    assert torch.allclose(loss, whole_loss, atol=1e-5)
    assert whole.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, whole[name], atol=1e-5, rtol=1e-3), name


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_batch_is_fed_what_rows_share_once(tiny_model: Make, adapter: str) -> None:
    model = adapted(tiny_model("llama"), adapter)
    own = collate(features_of(ROWS, Forward(COMMON)), PAD)["input_ids"].numel()
    assert fed_by(model, Forward(COMMON, apart=True)) == [len(COMMON), own]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_line_has_no_padding_but_at_its_end(tiny_model: Make, adapter: str) -> None:
    model = adapted(tiny_model("llama"), adapter)
    vectors = 7 if adapter in {"prompt", "p_tuning"} else 0
    own = sum(len(row.prompt) - len(COMMON) + len(row.answer) for row in ROWS)
    length = ceil((vectors + len(COMMON) + own) / LINE_STEP) * LINE_STEP
    assert fed_by(model, Forward(COMMON, apart=True, line=LINE)) == [length - vectors]
    fits = vectors + len(COMMON) + own + (7 if adapter == "prefix" else 0)
    assert len(fed_by(model, Forward(COMMON, apart=True, line=fits))) == 1
    assert len(fed_by(model, Forward(COMMON, apart=True, line=fits - 1))) == 2


def fed_by(model: nn.Module, forward: Forward) -> list[int]:
    """Tokens of each pass through the embeddings."""
    fed: list[int] = []
    embeddings = bare(model).get_input_embeddings()
    hook = embeddings.register_forward_pre_hook(lambda _, given: fed.append(given[0].numel()))
    loss_and_gradients(model, forward)
    hook.remove()
    return fed


def test_what_is_not_worth_a_pass_of_its_own_is_run_with_the_rows(tiny_model: Make) -> None:
    model = tiny_model("llama")
    assert Forward.of(model, ROWS, batch=1, pad=PAD) == Forward()
    few = [Encoded(row.example, row.prompt[len(COMMON) - 3 :], row.answer) for row in ROWS]
    assert Forward.of(model, few, batch=5, pad=PAD) == Forward()


@pytest.mark.parametrize("architecture", ["mamba", "bloom"])
def test_a_model_that_cannot_share_is_shown_whole_rows(tiny_model: Make, architecture: str) -> None:
    assert Forward.of(tiny_model(architecture), ROWS, batch=5, pad=PAD) == Forward()


@pytest.mark.parametrize("line", [LINE, 0], ids=["line", "batch"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_no_row_sees_another(tiny_model: Make, attention: str, line: int) -> None:
    base = tiny_model("llama")
    base.set_attn_implementation(attention)
    model = adapted(base, "lora")
    forward = replace(Forward.of(model, ROWS, batch=len(ROWS), pad=PAD), line=line)

    def logits_of_first(rows: list[Encoded]) -> Tensor:
        batch: Any = collate(features_of(rows, forward), PAD)
        predicting, _ = supervised(batch)
        return forward.answer_logits(model, batch, predicting)[: len(rows[0].answer)]

    others = [Encoded(row.example, (*COMMON, 90, 91, 92), row.answer) for row in ROWS[1:]]
    assert torch.allclose(logits_of_first(list(ROWS)), logits_of_first([ROWS[0], *others]), atol=1e-5)
