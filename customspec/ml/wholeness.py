"""Whether a model's weights are all there: what transformers would fill with random numbers is told instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from customspec.ml.quiet import quietly


@quietly()
def fault_of_shapes(
    kind: type[PreTrainedModel], config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]
) -> str | None:
    """What keeps tensors of these shapes from being all weights of the model, in a sentence; None when they are.

    transformers itself loads them, without their numbers, so that its renamings, prefixes and tied weights hold.
    """
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    loaded: object = kind.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        dtype=torch.float32,
        device_map={"": "meta"},
        ignore_mismatched_sizes=True,  # told, not raised
        output_loading_info=True,
    )
    return fault_of(*cast(tuple[PreTrainedModel, dict[str, Any]], loaded))


def fault_of(model: PreTrainedModel, loading_info: Mapping[str, Any]) -> str | None:
    """What transformers' loading info finds wrong, in a sentence; None when every weight was there, and every layer of
    the weights is the model's."""
    if loading_info["missing_keys"]:
        return f"its weights lack {_first(loading_info['missing_keys'])}"
    if loading_info["mismatched_keys"]:
        shapes = {name: (tuple(found), tuple(expected)) for name, found, expected in loading_info["mismatched_keys"]}
        name = min(shapes)
        found, expected = shapes[name]
        return f"config.json does not fit the weights: `{name}` is {found} there, and {expected} by config.json"
    if beyond := _layers_beyond(model, loading_info["unexpected_keys"]):
        return f"config.json does not fit the weights: they have {_first(beyond)}, of layers that it does not count"
    return next(iter(loading_info["error_msgs"]), None)


def _layers_beyond(model: PreTrainedModel, left_over: Iterable[str]) -> list[str]:
    """Weights that are named as the model's are but for a layer's number: the model would run without those layers.
    What else is left over is harmless: buffers that are computed anew, a head that is tied."""
    if getattr(model.config, "num_nextn_predict_layers", None):
        return []  # layers that only guess at further tokens stand behind those that are counted
    prefix = f"{model.base_model_prefix}."
    own = {_unnumbered(name.removeprefix(prefix)) for name in model.state_dict()}
    return [name for name in left_over if "#" in (plain := _unnumbered(name.removeprefix(prefix))) and plain in own]


def _unnumbered(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.)", "#", f".{name}")


def _first(names: Iterable[str]) -> str:
    first, *others = sorted(names)
    more = f" and {len(others)} other{'s' if len(others) > 1 else ''}" if others else ""
    return f"`{first}`{more}"
