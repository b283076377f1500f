"""Random models of a few thousand weights, with a tokenizer of bytes, made on the spot: no network, no files kept."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
SHAPE: Mapping[str, Any] = MappingProxyType(
    {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }
)
# wide enough for the usual defaults (a rank of 16, a grouped attention), with weights that make every mistake show
_WIDER: Mapping[str, Any] = MappingProxyType(
    {"hidden_size": 64, "intermediate_size": 128, "max_position_embeddings": 256, "initializer_range": 0.2}
)
_GPT2: Mapping[str, Any] = MappingProxyType(
    {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
)
_OWN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "llama": {"num_key_value_heads": 2},
        "gpt2": {**_GPT2, "attn_pdrop": 0.0},
        "qwen2": {"num_key_value_heads": 2},
        "gemma": {"num_key_value_heads": 1, "head_dim": 16},
        "opt": {"ffn_dim": 128, "word_embed_proj_dim": 64, "init_std": 0.2, "dropout": 0.0},
        "mamba": {"state_size": 8, "conv_kernel": 3, "expand": 2, "time_step_rank": 32},
    }
)
ARCHITECTURES: tuple[str, ...] = tuple(_OWN)
"""The architectures that a tuning technique is tried on, by transformers' names."""


class TinyModels:
    """A folder with one tiny model of each architecture, made when first asked for; deleted with this object."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="customspec-testing-"))
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)

    def folder(self, architecture: str) -> Path:
        """The model and its tokenizer. Raises KeyError for what is not in `ARCHITECTURES`."""
        folder = self._root / architecture
        if not folder.is_dir():
            make_model(folder, architecture, **_WIDER, **_OWN[architecture])
        return folder

    def scratch(self) -> Path:
        """A new empty folder."""
        return Path(tempfile.mkdtemp(dir=self._root))


def make_model(folder: Path, architecture: str = "llama", *, chat: bool = True, **options: Any) -> Path:
    """A random tiny model with a byte-level tokenizer, saved as a person would; the same weights every time."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from customspec.ml.quiet import quietly

    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **{**SHAPE, **options})
    with quietly():
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    make_tokenizer(chat=chat).save_pretrained(folder)
    return folder


def make_tokenizer(*, chat: bool = True) -> Any:
    """Every byte is a token; so are the special tokens and the chat template's marks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *letters])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
