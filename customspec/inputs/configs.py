"""A model's config.json before any library sees it: its size, and the numbers that a model is laid out by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any

from customspec.inputs.unusable import ANEW, ITS_OWN, ModelError, unusable

_MOST = 256 << 20  # bytes; the largest tokenizers have 40 MB
_MOST_BY_NAME = MappingProxyType(
    {
        "config.json": 1 << 20,
        "generation_config.json": 1 << 20,
        "special_tokens_map.json": 1 << 20,
        "tokenizer_config.json": 4 << 20,  # six thousand reserved tokens fill one
        "model.safetensors.index.json": 16 << 20,
    }
)
_LAYERS = frozenset({"num_hidden_layers", "n_layer", "n_layers", "num_layers"})
_LAYERS_OF_PARTS = frozenset({"decoder_layers", "encoder_layers", "num_decoder_layers", "num_encoder_layers", "depth"})
_SIZES = _LAYERS | {
    *("vocab_size", "hidden_size", "n_embd", "d_model", "head_dim", "intermediate_size", "n_inner", "ffn_dim"),
    *("num_attention_heads", "n_head", "n_heads", "num_key_value_heads", "max_position_embeddings", "n_positions"),
}
_ROTARY = frozenset({"rope_theta", "rope_local_base_freq", "factor"})
_QUANTIZED = ("quantization_config", "compression_config")
_MOST_SIZE = 2**31 - 1
_SHOWN = 40  # characters of a wrong value


def most_bytes(name: str) -> int:
    """How many bytes a file of a model's folder that holds no weights may have."""
    return _MOST_BY_NAME.get(name, _MOST)


def read_object(path: Path, label: str) -> dict[str, Any]:
    """A JSON file's object. Raises ModelError."""
    try:
        value = json.loads(path.read_bytes())
    except RecursionError:
        raise unusable(f"{label}/{path.name} is nested too deeply", ANEW) from None
    except ValueError as error:
        raise unusable(f"{label}/{path.name} is not JSON: {error}", ANEW) from error
    if not isinstance(value, dict):
        raise unusable(f"{label}/{path.name} is not a JSON object", ANEW)
    return value


def check_config(config: Mapping[str, Any], label: str) -> None:
    """Raises ModelError for quantized weights, and at the first size or name that cannot be one."""
    for key, value in _entries(config):
        if key in _QUANTIZED and value is not None:
            message = f"the weights of model folder {label} are quantized (config.json: `{key}`)"
            hint = "name the model with its plain weights; `quantization` in a candidate quantizes them when loaded"
            raise unusable(message, hint)
        if key in _SIZES and not all(map(_is_size, value if isinstance(value, list) else [value])):
            raise _wrong(label, key, f"a whole number from 1 to {_MOST_SIZE}", value)
    for key, value in _all_entries(config):
        if isinstance(value, float) and not isfinite(value):
            raise _wrong(label, key, "a number", value)
        if key in _ROTARY and isinstance(value, int | float) and value <= 0:
            raise _wrong(label, key, "a number above 0", value)
    if not isinstance(config.get("model_type", ""), str):
        raise _wrong(label, "model_type", "a name", config["model_type"])
    named = config.get("architectures")
    if not (named is None or (isinstance(named, list) and all(isinstance(name, str) for name in named))):
        raise _wrong(label, "architectures", "a list of names", named)


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The config's keys and values, and those of the text model in it."""
    inner = config.get("text_config")
    for part in (config, inner if isinstance(inner, dict) else {}):
        yield from part.items()


def _all_entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Those of every model in it: of pictures and sounds, too."""
    open_parts: list[Mapping[str, Any]] = [config]
    while open_parts:
        for key, value in open_parts.pop().items():
            yield key, value
            if isinstance(value, dict):
                open_parts.append(value)


def _is_size(value: object) -> bool:
    return value is None or (type(value) is int and 0 < value <= _MOST_SIZE)


def _wrong(label: str, key: str, expected: str, value: object) -> ModelError:
    text = json.dumps(value)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return unusable(f"{label}/config.json: `{key}` is {text}, not {expected}", ITS_OWN)


def check_layers(config: Mapping[str, Any], label: str, tensors: int) -> None:
    """A model is laid out from its config before its weights are seen: one that is much too large is never done."""
    for key, value in _all_entries(config):
        if key in _LAYERS | _LAYERS_OF_PARTS and isinstance(value, int) and value > tensors:
            message = f"{label}/config.json promises {value} layers; the weights are {tensors} tensors"
            raise unusable(message, ITS_OWN)
