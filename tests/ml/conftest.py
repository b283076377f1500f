"""Models small enough to be made for every test, with weights large enough for every mistake to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
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
_OWN: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "qwen2": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": None},
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 5.0, "attn_logit_softcapping": 3.0},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.2, "dropout": 0.0},
    "phi3": {"num_key_value_heads": 2},
    "gpt_neo": {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 64},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mamba": {"state_size": 4, "conv_kernel": 3, "expand": 2, "time_step_rank": 4},
    "t5": {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 1, "num_heads": 4},
}


@pytest.fixture
def tiny_model() -> Callable[..., PreTrainedModel]:
    """A function: a random causal model of an architecture (transformers' name), float32, the same every time."""

    def make(architecture: str, *, attention: str | None = None, **options: Any) -> PreTrainedModel:
        config = AutoConfig.for_model(architecture, **{**_SHAPE, **_OWN.get(architecture, {}), **options})
        torch.manual_seed(0)
        return cast(PreTrainedModel, AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval())

    return make
