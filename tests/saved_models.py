"""Folders of tiny models as transformers saves them, to be read, copied and changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModel

from customspec.inputs.digests import Digests
from customspec.inputs.models import ModelFiles, find_model
from customspec.inputs.paths import Roots
from customspec.spec import BaseModelSpec
from support import make_tokenizer

Saved = Callable[[str], Path]
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-untied": ("llama", {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "gpt2": ("gpt2", GPT),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "opt-projected": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "qwen2": ("qwen2", {"num_key_value_heads": 2}),
    "mamba": (
        "mamba",
        {"state_size": 4, "conv_kernel": 3, "expand": 2, "time_step_rank": 4, "max_position_embeddings": None},
    ),
}


def files_of(folder: Path) -> ModelFiles:
    files = find_model(BaseModelSpec(path="."), Roots.of(folder), Digests(None))
    assert isinstance(files, ModelFiles)
    return files


def bert(folder: Path) -> Path:
    config = AutoConfig.for_model(
        "bert", vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32
    )
    AutoModel.from_config(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def change(file: Path, **entries: Any) -> None:
    content = {**json.loads(file.read_text()), **entries}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def copy(folder: Path, source: Path) -> Path:
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder
