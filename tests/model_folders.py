"""Model folders made of bytes: what tests of finding and checking a model need of one."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from customspec.inputs.models import ModelFiles, Unresolved

Find = Callable[..., ModelFiles | Unresolved]
TOKENIZER = {"tokenizer.json": b"{}", "tokenizer_config.json": b"{}", "chat_template.jinja": b"x"}


def tensors(*shapes: tuple[int, ...]) -> bytes:
    """A safetensors file of float32 zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for index, shape in enumerate(shapes):
        size = 4 * prod(shape)
        header[f"t{index}"] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def whole(**more: bytes) -> dict[str, bytes]:
    return {"config.json": b"{}", "model.safetensors": tensors((2, 3), (4,)), **TOKENIZER, **more}


def sharded(*, names: tuple[str, ...] = ("one.safetensors", "two.safetensors")) -> dict[str, bytes]:
    weights = {f"t{index}": name for index, name in enumerate(names)}
    return {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps({"metadata": {}, "weight_map": weights}).encode(),
        "one.safetensors": tensors((2, 3)),
        "two.safetensors": tensors((4,)),
    }


def found(result: ModelFiles | Unresolved) -> ModelFiles:
    assert isinstance(result, ModelFiles)
    return result
