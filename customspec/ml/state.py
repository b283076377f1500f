"""What a training holds, as safetensors and JSON: nested values with tensors in them, weights, random numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

_TENSOR, _TUPLE, _PAIRS = "tensor", "tuple", "pairs"


class UnknownStateError(TypeError):
    """A value that safetensors and JSON cannot hold between them."""


def save_state(value: object, folder: Path, name: str) -> None:
    """Write numbers, text, tensors, and lists, tuples and mappings of them to `name`.json and `name`.safetensors.

    Raises UnknownStateError for anything else.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _taken_apart(value, tensors)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(skeleton), encoding="utf-8")  # NaN and infinity are as Python's


def load_state(folder: Path, name: str) -> Any:
    """What `save_state` wrote, equal to the bit, tensors on the CPU."""
    tensors = load_file(folder / f"{name}.safetensors")
    return _put_together(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), tensors)


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that require grad, by name; they are the model's own."""
    return {name: part for name, part in model.named_parameters() if part.requires_grad}


def first_not_finite(model: nn.Module) -> str | None:
    """The name of a trained weight that holds NaN or infinity."""
    parts = trained_weights(model)
    if not parts or bool(torch.isfinite(_total(list(parts.values())))):
        return None
    return next((name for name, part in parts.items() if not torch.isfinite(part).all()), None)


@torch.no_grad()
def _total(parts: list[Tensor]) -> Tensor:
    """The sum of all magnitudes, in few kernels: NaN and infinity survive it."""
    return get_total_norm(parts, 1.0)


@torch.no_grad()
def set_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raises ValueError when they are not those that the model trains."""
    there = trained_weights(model)
    if {name: part.shape for name, part in there.items()} != {name: part.shape for name, part in weights.items()}:
        raise ValueError("the weights are not those of this model")
    for name, part in there.items():
        part.copy_(weights[name])


def random_state() -> dict[str, Any]:
    """Python's, NumPy's and torch's generators as they are now."""
    numpy = np.random.get_state()  # the generator that plugins and libraries share
    return {
        "python": random.getstate(),
        "numpy": _with_tensor(*numpy),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def _with_tensor(name: str, keys: Any, *rest: Any) -> tuple[Any, ...]:
    return (name, torch.from_numpy(np.array(keys).astype(np.int64)), *rest)


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the generators where `random_state` found them."""
    name, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _taken_apart(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[name := str(len(tensors))] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {_PAIRS: [[_taken_apart(key, tensors), _taken_apart(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_TUPLE: [_taken_apart(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_taken_apart(item, tensors) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise UnknownStateError(f"{type(value).__name__} cannot be kept in a checkpoint")


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_put_together(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == _TENSOR:
        return tensors[content]
    if kind == _TUPLE:
        return tuple(_put_together(item, tensors) for item in content)
    return {_put_together(key, tensors): _put_together(item, tensors) for key, item in content}
