"""The lean forward of LoRA layers against PEFT's own: outputs, gradients, and where it stands back."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from tiny import Make
from torch import Tensor, nn
from transformers import PreTrainedModel

from customspec.ml import lean_lora as lean_module
from customspec.ml.adapters import attach
from customspec.ml.lean_lora import lean_lora

IDS = torch.arange(3, 63).view(3, 20)


def adapted(base: PreTrainedModel, **options: Any) -> nn.Module:
    torch.manual_seed(1)
    model = attach(base, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", **options))
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)  # B begins at zero, where A has no gradient
    return model


def loss_and_gradients(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    torch.manual_seed(2)  # of dropout
    loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    loss.backward()
    return loss.detach(), {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}


def taken(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The type of each lean forward from now on."""
    found: list[torch.dtype] = []
    apply = lean_module._Lean.apply

    def noted(x: Tensor, *args: Any) -> Any:
        found.append(x.dtype)
        return apply(x, *args)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(lean_module._Lean, "apply", noted)
    return found


def layers(model: nn.Module) -> list[Linear]:
    return [module for module in model.modules() if type(module) is Linear]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma", "opt", "gpt2"])  # biases from qwen2 on, and Conv1D
def test_loss_and_gradients_are_pefts(tiny_model: Make, monkeypatch: pytest.MonkeyPatch, architecture: str) -> None:
    model = adapted(tiny_model(architecture))
    whole_loss, whole = loss_and_gradients(model)
    lean = taken(monkeypatch)
    with lean_lora(model):
        loss, gradients = loss_and_gradients(model)
    assert len(lean) == (0 if architecture == "gpt2" else len(layers(model)))
    assert abs(float(loss - whole_loss)) < 1e-5
    assert whole.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, whole[name], atol=1e-5, rtol=1e-4), name


def test_under_autocast_it_differs_by_roundings_alone(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(tiny_model("llama").bfloat16())
    exact = copy.deepcopy(model).float()
    _, right = loss_and_gradients(exact)
    lean = taken(monkeypatch)
    far: dict[bool, float] = {}
    for within in (False, True):
        with lean_lora(model) if within else nullcontext(), torch.autocast("cpu", torch.bfloat16):
            _, found = loss_and_gradients(model)
        far[within] = sum(float((found[name] - right[name]).norm()) for name in right)
        assert all(part.dtype == torch.float32 for part in found.values())
    assert lean == [torch.bfloat16] * len(layers(model))
    assert far[True] < 1.1 * far[False]


@pytest.mark.parametrize("options", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_what_is_more_than_a_plain_update_is_left_to_peft(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    model = adapted(tiny_model("opt"), **options).train()
    expected = loss_and_gradients(model)
    lean = taken(monkeypatch)
    with lean_lora(model):
        found = loss_and_gradients(model)
    assert lean == []
    assert found[0] == expected[0]
    assert all(torch.equal(part, expected[1][name]) for name, part in found[1].items())


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma", "opt", "gpt2"])
def test_without_gradients_the_logits_are_pefts(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    model = adapted(tiny_model(architecture), lora_dropout=0.5).eval()  # no dropout in evaluation
    fused, lean = 0, taken(monkeypatch)
    products = lean_module._products

    def counting(*args: Any) -> Any:
        nonlocal fused
        fused += 1
        return products(*args)

    monkeypatch.setattr(lean_module, "_products", counting)
    with torch.inference_mode():
        whole = model(input_ids=IDS).logits
        with lean_lora(model):
            found = model(input_ids=IDS).logits
    assert float((found - whole).abs().max()) < 1e-5
    assert fused == (0 if architecture == "gpt2" else len(layers(model)))
    assert lean == []


def test_one_within_another_leaves_the_outer_at_work(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(tiny_model("llama"))
    lean = taken(monkeypatch)
    with lean_lora(model):
        with lean_lora(model), torch.inference_mode():
            model(input_ids=IDS)
        loss_and_gradients(model)
    assert len(lean) == len(layers(model))


def test_afterwards_pefts_forward_runs(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(tiny_model("llama"))
    lean = taken(monkeypatch)
    with lean_lora(model):
        pass
    loss_and_gradients(model)
    assert lean == []
    assert not any("forward" in vars(layer) for layer in layers(model))
