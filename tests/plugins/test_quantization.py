"""`quantization`: what is planned and what is refused; and, where bitsandbytes is installed, what is computed.

bitsandbytes computes on a CPU, too, slowly: enough to hold an adapter beside packed weights against the same adapter
beside the numbers that the packed weights stand for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plans import plan_of
from torch import nn
from transformers import PreTrainedModel

from customspec.compiler import quantization as checked
from customspec.errors import Exit, Problem, SpecError
from customspec.estimate.rates import UNKNOWN
from customspec.hookspecs import TakesQuantized, TuningTechnique
from customspec.machine import Device
from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from customspec.plan import Plan
from customspec.registry import discover
from customspec.runners.tuning import task_of
from customspec.testing import TinyModels
from customspec.testing.fresh import filled_in
from customspec.testing.workbench import BATCH, difference, logits, with_gradients
from support import Ended, Workspace

NF4 = {"bits": 4, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
FP4 = {"bits": 4, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": False}
TAKES = ("adalora", "ia3", "ln_tuning", "lora", "oft", "p_tuning", "prefix_tuning", "prompt_tuning", "vera")
REFUSE = ("boft", "full", "loha", "lokr")


def planned(spec: Path, device: Device | None) -> Plan:
    choices = {} if device is None else {"machine": dataclasses.replace(UNKNOWN, device=device)}
    return plan_of(spec, **choices)


def problems(spec: Path, device: Device | None) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        planned(spec, device)
    return list(caught.value.problems)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where bitsandbytes is installed."""
    monkeypatch.setattr(checked, "find_spec", lambda _: True)


# --- what is planned


@pytest.mark.usefixtures("installed")
def test_adapters_and_prompts_are_planned_beside_quantized_weights(workspace: Workspace) -> None:
    entries = ", ".join(f"{{{name}: {{}}, quantization: {{bits: 4}}}}" for name in ("zero_shot", *TAKES))
    steps = [step for step in planned(workspace.spec(f"techniques: [{entries}]"), "cuda").steps if step.candidate]
    assert len(steps) == 2 + 3 * len(TAKES)
    for step in steps:
        assert {**NF4, "bitsandbytes": step.params["quantization"]["bitsandbytes"]} == step.params["quantization"]


@pytest.mark.usefixtures("installed")
def test_quantization_is_another_candidate_and_its_absence_the_same_as_before(workspace: Workspace) -> None:
    entries = ["{lora: {}}", "{id: four, lora: {}, quantization: {bits: 4}}"]
    entries += ["{id: fp4, lora: {}, quantization: {bits: 4, bnb_4bit_quant_type: fp4}}"]
    plan = planned(workspace.spec(f"techniques: [{', '.join(entries)}]"), "cuda")
    prints = [plan.step(f"train:{id}@0").fingerprint for id in ("lora", "four", "fp4")]
    assert len(set(prints)) == 3
    assert "quantization" not in plan.step("train:lora@0").params


# --- what is refused, and where


def test_without_a_gpu_the_key_is_refused_before_anything_runs(
    workspace: Workspace, customspec: Callable[..., Ended]
) -> None:
    spec = workspace.spec("techniques: [{lora: {}, quantization: {bits: 4}}]")
    ended = customspec("plan", spec, "--device", "cpu")
    assert ended.code == Exit.ENVIRONMENT
    assert "spec.yaml:10:25: CS701 `quantization` needs a CUDA GPU; this run computes on cpu" in ended.err


def test_without_bitsandbytes_the_extra_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "find_spec", lambda _: None)
    [problem] = problems(workspace.spec("techniques: [{lora: {}, quantization: {bits: 8}}]"), "cuda")
    assert (problem.code, problem.exit, problem.hint) == (
        "CS702",
        Exit.ENVIRONMENT,
        "pip install 'customspec[quantization]'",
    )


def test_what_needs_the_weights_themselves_is_refused(workspace: Workspace) -> None:
    lines = [f"  - {{{name}: {{}}, quantization: {{bits: 4}}}}" for name in REFUSE]
    lines += [
        f"  - {{id: {begin}, lora: {{init_lora_weights: {begin}}}, quantization: {{bits: 4}}}}"
        for begin in ("pissa", "olora")
    ]
    found = problems(workspace.spec("techniques:", *lines), None)
    assert [problem.message for problem in found] == [
        *(f"technique `{name}`: it cannot train beside quantized weights" for name in REFUSE),
        "technique `lora`: `init_lora_weights: pissa` moves the base's weights, which are packed",
        "technique `lora`: `init_lora_weights: olora` moves the base's weights, which are packed",
    ]
    assert {problem.code for problem in found} == {"CS504"}
    assert [problem.location.line for problem in found] == [*range(11, 17)]


def test_every_tuning_technique_says_whether_it_can() -> None:
    names = [name for name in discover().names("technique") if discover().technique(name).family == "tuning"]
    takes = [name for name in names if isinstance(discover().technique(name), TakesQuantized)]
    assert takes == sorted(TAKES)
    assert sorted({*names} - {*takes, "peft"}) == sorted(REFUSE)


# --- what is computed, where bitsandbytes is installed


@dataclasses.dataclass(frozen=True)
class Pair:
    """A base in four bits, and the base of the numbers that those stand for."""

    models: TinyModels
    settings: dict[str, Any]

    def packed(self) -> PreTrainedModel:
        return load_model(self.models.folder("llama"), torch.float32, quantization=self.settings)

    def plain(self) -> PreTrainedModel:
        from bitsandbytes.functional import dequantize_4bit

        base = load_model(self.models.folder("llama"), torch.float32)
        for name, module in self.packed().named_modules():
            if type(module).__name__ == "Linear4bit":
                weight = module.weight
                base.get_submodule(name).weight.data = dequantize_4bit(weight.data, weight.quant_state).float()
        return base


def adapted(technique: TuningTechnique, base: PreTrainedModel, models: TinyModels) -> nn.Module:
    header, _ = read_header(models.folder("llama"))
    options = filled_in(technique, technique.options(), header, len(BATCH))
    torch.manual_seed(0)
    task = task_of(BATCH, lambda text: [20 + byte for byte in text.encode()], None, 20)
    model = technique.adapt(options, base, task)
    torch.manual_seed(1)
    with torch.no_grad():  # away from where it does nothing
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("settings", [NF4, FP4], ids=["nf4", "fp4"])
def test_the_loader_packs_every_linear_weight_but_the_heads(models: TinyModels, settings: dict[str, Any]) -> None:
    pytest.importorskip("bitsandbytes")
    model = load_model(models.folder("llama"), torch.float32, quantization=settings)
    kinds = {name: type(part).__name__ for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    assert kinds.pop("lm_head") == "Linear"
    assert set(kinds.values()) == {"Linear4bit"}
    assert len(kinds) == 14
    packed: Any = model.get_submodule("model.layers.0.mlp.up_proj").weight
    assert packed.dtype == torch.uint8
    assert packed.quant_state.quant_type == settings["bnb_4bit_quant_type"]
    assert packed.quant_state.nested == settings["bnb_4bit_use_double_quant"]
    assert not any(parameter.requires_grad for parameter in model.parameters() if parameter.dtype == torch.uint8)


def test_eight_bits_are_loaded_as_such(models: TinyModels) -> None:
    pytest.importorskip("bitsandbytes")
    model = load_model(models.folder("llama"), torch.float32, quantization={"bits": 8})
    assert type(model.get_submodule("model.layers.1.self_attn.q_proj")).__name__ == "Linear8bitLt"


@pytest.mark.parametrize("name", TAKES)
def test_an_adapter_beside_packed_weights_is_the_one_beside_what_they_stand_for(
    models: TinyModels, tmp_path: Path, name: str
) -> None:
    pytest.importorskip("bitsandbytes")
    technique, pair = discover().tuning(name), Pair(models, NF4)
    model, same = (adapted(technique, base, models) for base in (pair.packed(), pair.plain()))
    assert float(logits(model).std()) > 0.1
    assert difference(model, same) <= 1e-4
    gradients = [
        {n: p.grad for n, p in with_gradients(one).named_parameters() if p.requires_grad} for one in (model, same)
    ]
    assert gradients[0].keys() == gradients[1].keys()
    for where, gradient in gradients[0].items():
        other = gradients[1][where]
        assert gradient is not None, where
        assert other is not None, where
        assert torch.allclose(gradient, other, rtol=1e-3, atol=1e-4 * float(other.abs().max())), where
    technique.save(model, tmp_path)
    assert difference(technique.load(pair.packed(), tmp_path), model) <= 1e-4
    assert difference(technique.load(pair.plain(), tmp_path), model) <= 1e-4


@pytest.mark.parametrize("bits", [4, 8])
def test_a_trainable_count_does_not_change_with_the_bits(models: TinyModels, bits: int) -> None:
    pytest.importorskip("bitsandbytes")
    settings = NF4 if bits == 4 else {"bits": 8}
    base = load_model(models.folder("llama"), torch.float32, quantization=settings)
    technique = discover().tuning("lora")
    model = adapted(technique, base, models)
    header, _ = read_header(models.folder("llama"))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained == technique.trainable_parameters(technique.options(), header)
