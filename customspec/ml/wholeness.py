"""Whether a model's weights are all there: what transformers would fill with random numbers is told instead."""

from __future__ import annotations

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
    _, loading_info = cast(tuple[PreTrainedModel, dict[str, Any]], loaded)
    return fault_of(loading_info)


def fault_of(loading_info: Mapping[str, Any]) -> str | None:
    """What transformers' loading info finds wrong, in a sentence; None when every weight was there."""
    if loading_info["missing_keys"]:
        return f"its weights lack {_first(loading_info['missing_keys'])}"
    if loading_info["mismatched_keys"]:
        shapes = {name: (tuple(found), tuple(expected)) for name, found, expected in loading_info["mismatched_keys"]}
        name = min(shapes)
        found, expected = shapes[name]
        return f"config.json does not fit the weights: `{name}` is {found} there, and {expected} by config.json"
    return next(iter(loading_info["error_msgs"]), None)


def _first(names: Iterable[str]) -> str:
    first, *others = sorted(names)
    more = f" and {len(others)} other{'s' if len(others) > 1 else ''}" if others else ""
    return f"`{first}`{more}"
