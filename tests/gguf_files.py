"""A GGUF file of a tiny llama, as llama.cpp would write it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from safetensors.numpy import load_file

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(file: Path, model: Path) -> Path:
    """The tokenizer of a llama's folder and its weights, matrices in blocks of eight bits; rows in no special order."""
    config = json.loads((model / "config.json").read_text())
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, model, config["vocab_size"])
    for name, weight in load_file(model / "model.safetensors").items():
        numbers = weight.astype(np.float32)
        if numbers.ndim == 1:
            writer.add_tensor(_renamed(name), numbers)
        else:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(_renamed(name), quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: GGUFWriter, model: Path, size: int) -> None:
    told = json.loads((model / "tokenizer.json").read_text())
    known = {index: token for token, index in told["model"]["vocab"].items()}
    special = {token["id"] for token in told["added_tokens"]}
    tokens = [known.get(index, f"<unused{index}>") for index in range(size)]
    tokens[-1] = tokens[7] + tokens[8]  # there must be a merge
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if index in special or index not in known else 1 for index in range(size)])
    writer.add_token_merges([f"{tokens[7]} {tokens[8]}"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(2)
    writer.add_chat_template((model / "chat_template.jinja").read_text())


def _renamed(name: str) -> str:
    base, _, ending = name.rpartition(".")
    if not base.startswith("model.layers."):
        return f"{NAMES[base]}.{ending}"
    number, _, part = base.removeprefix("model.layers.").partition(".")
    return f"blk.{number}.{NAMES[part]}.{ending}"
