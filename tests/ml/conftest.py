"""Models small enough to be made for every test, with weights large enough for every mistake to show."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from benches import Bench
from peft import PeftConfig, PeftModel, get_peft_model
from tiny import Make
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

VOCABULARY = 97
_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
_GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
_OWN: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "qwen2": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": None},
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 5.0, "attn_logit_softcapping": 3.0},
    "granite": {"logits_scaling": 3.0},
    "gpt2": _GPT,
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 64},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.2, "dropout": 0.0},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mamba": {"state_size": 4, "conv_kernel": 3, "expand": 2, "time_step_rank": 4},
    "roberta": {"is_decoder": True},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads wait for each other longer than a tiny model computes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_model() -> Callable[..., PreTrainedModel]:
    """A function: a random causal model of an architecture (transformers' name), float32, the same every time.

    Further options go to its configuration.
    """

    def make(architecture: str, *, attention: str | None = None, **options: Any) -> PreTrainedModel:
        config = AutoConfig.for_model(architecture, **{**_SHAPE, **_OWN.get(architecture, {}), **options})
        torch.manual_seed(0)
        return cast(PreTrainedModel, AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval())

    return make


@pytest.fixture
def tuned() -> Callable[[PreTrainedModel, PeftConfig], PeftModel]:
    """A function: the model with an adapter whose weights are far from those that change nothing."""

    def adapt(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
        adapted = get_peft_model(model, copy.deepcopy(config))  # which notes the model's shape in the configuration
        torch.manual_seed(1)
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=0.3)
        return cast(PeftModel, adapted.eval())

    return adapt


@pytest.fixture
def watched() -> Callable[[nn.Module], list[tuple[int, ...]]]:
    """A function: the shapes of the token ids that each forward of the model is fed, from now on."""

    def watch(model: nn.Module) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []

        def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            shapes.append(tuple(kwargs["input_ids"].shape))

        model.register_forward_pre_hook(note, with_kwargs=True)
        return shapes

    return watch


@pytest.fixture
def bench(tmp_path: Path, tiny_model: Make) -> Callable[..., Bench]:
    """A function: a bench for a technique. Each has a folder of its own, and models with dropout."""

    def make(technique: str = "lora", architecture: str = "gpt2", **more: Any) -> Bench:
        dropping = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.2)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Bench(folder, lambda: tiny_model(architecture, **dropping), technique, **more)

    return make
