"""Whole runs, and what is computed, on a CUDA GPU: `pytest tests/ml/test_on_a_gpu.py`. Skipped where there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, cast

import pytest
import torch
from benches import Bench
from choices import CHOICES, difference
from peft import PeftConfig, PeftModel
from tiny import ADAPTERS, TOGETHER, Make, Tune
from torch import nn
from transformers import AutoModelForCausalLM

from customspec.machine import chosen_gpu, cuda_gpus
from customspec.ml.scoring import score_choices, score_simply
from support import Workspace, make_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")

TUNED = ("adalora", "boft", "full", "ia3", "ln_tuning", "loha", "lokr", "lora", "oft", "p_tuning", "prefix_tuning",
         "prompt_tuning", "vera")  # fmt: skip
QUANTIZED = ("adalora", "ia3", "ln_tuning", "lora", "oft", "p_tuning", "prefix_tuning", "prompt_tuning", "vera")
needs_bits = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")


def document(workspace: Workspace, *lines: str, prompt: str = "", more: tuple[str, ...] = ()) -> Any:
    """The results of a run on the GPU, in which no candidate failed."""
    ended = workspace.run("run", workspace.spec(*lines, prompt=prompt), "--device", "cuda", "--json", *more)
    assert ended.code == 0, ended.err
    assert {one["key"]: one["reason"] for one in ended.json["candidates"] if one["status"] != "done"} == {}
    return ended.json


def test_every_technique_runs_there_and_its_memory_is_measured(workspace: Workspace) -> None:
    found = document(workspace, f"techniques: [zero_shot, few_shot, {', '.join(TUNED)}]", more=("--max-steps", "6"))
    assert found["environment"]["device"] == "cuda"
    assert found["environment"]["compute_dtype"] == chosen_gpu(cuda_gpus(), 0).compute_dtype
    for one in found["candidates"]:
        assert one["cost"]["peak_memory_bytes"] > 0, one["key"]
        assert (one["cost"]["trainable_parameters"] > 0) == (one["id"] in TUNED)


def test_texts_are_generated_there(workspace: Workspace) -> None:
    prompt = 'prompt: {user: "{{ text }}", answer: "{{ label }}"}'
    found = document(workspace, "techniques: [zero_shot, {lora: {}}]", prompt=prompt, more=("--max-steps", "4"))
    assert [len(list((workspace.candidate_folder(found, one["key"]) / "predictions").iterdir())) for one in
            found["candidates"]] == [2, 2]  # fmt: skip


def test_what_was_run_there_is_not_run_again(workspace: Workspace) -> None:
    lines, more = "techniques: [zero_shot, {lora: {}}]", ("--max-steps", "4")
    document(workspace, lines, more=more)
    again = workspace.run("run", workspace.root / "spec.yaml", "--device", "cuda", "--json", *more)
    assert {one["status"] for one in again.json["candidates"]} == {"cached"}


@needs_bits
@pytest.mark.parametrize("bits", [4, 8])
def test_adapters_train_beside_quantized_weights(workspace: Workspace, bits: int) -> None:
    entries = ", ".join(f"{{{name}: {{}}, quantization: {{bits: {bits}}}}}" for name in QUANTIZED)
    found = document(workspace, f"techniques: [{entries}]", more=("--max-steps", "6"))
    for name in QUANTIZED:
        folder = workspace.candidate_folder(found, f"{name}@0")
        base = AutoModelForCausalLM.from_pretrained(workspace.root / "model", dtype=torch.float32)
        assert PeftModel.from_pretrained(base, str(folder)).peft_config  # plain PEFT, on the weights themselves


@needs_bits
def test_a_quantized_base_takes_less_memory(workspace: Workspace) -> None:
    wide: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4}
    (workspace.root / "model").unlink()
    make_model(workspace.root / "model", **wide)
    entries = "{id: whole, zero_shot: {}}, {id: four, zero_shot: {}, quantization: {bits: 4}}"
    found = document(workspace, f"techniques: [{entries}]")
    whole, four = (one["cost"]["peak_memory_bytes"] for one in found["candidates"])
    assert four < whole


@pytest.mark.parametrize("adapter", [None, *ADAPTERS], ids=["bare", "lora", "prefix", "prompt", "p_tuning"])
def test_scores_there_are_those_of_the_simple_way_here(
    tiny_model: Make, tuned: Tune, adapter: PeftConfig | None
) -> None:
    base = tiny_model("llama")
    model = base if adapter is None else tuned(base, adapter)
    here = score_simply(model, TOGETHER, CHOICES, pad=0)
    there = score_choices(cast(nn.Module, model).to("cuda"), TOGETHER, CHOICES, pad=0)
    assert difference(here, there) < 1e-4


@pytest.mark.parametrize("name", ["lora", "full", "prefix_tuning", "prompt_tuning", "p_tuning"])
def test_a_training_there_is_the_one_here(tiny_model: Make, bench: Callable[..., Bench], name: str) -> None:
    """In float32, to rounding that a few steps make larger; without dropout, which each device draws in its own way."""
    here, there = (
        dataclasses.replace(bench(name), make=lambda: tiny_model("llama"), device=device).train()
        for device in ("cpu", "cuda")
    )
    assert [loss for _, loss in there.trained.losses] == pytest.approx(
        [loss for _, loss in here.trained.losses], rel=1e-2
    )


@pytest.mark.parametrize("name", ["lora", "full"])
def test_compiled_layers_train_there_as_they_are(tiny_model: Make, bench: Callable[..., Bench], name: str) -> None:
    plain, compiled = (
        dataclasses.replace(bench(name), make=lambda: tiny_model("llama"), device="cuda").train(worth_compiling=worth)
        for worth in (1e9, 0.0)
    )
    assert [loss for _, loss in compiled.trained.losses] == pytest.approx(
        [loss for _, loss in plain.trained.losses], rel=1e-2
    )
