"""PEFT adapters: attached, saved and loaded one way, for every technique that PEFT implements."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers.pytorch_utils import Conv1D

from customspec.errors import MachineError, UsageError, first_line
from customspec.inputs.vetting import ADAPTER, vetted
from customspec.ml.quiet import quietly
from customspec.patterns import slow_pattern

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SHOWN: Final = 60  # characters of a pattern
MOST_REPLICATED: Final = 200  # characters; a list of ranges of layers, of which every layer is laid out


@quietly()
def attach(model: PreTrainedModel, config: PeftConfig) -> nn.Module:
    """The model with a fresh adapter: adapter weights float32 and trainable, the base frozen as it is."""
    if any(isinstance(module, Conv1D) for module in model.modules()) and "fan_in_fan_out" in vars(config):
        cast(Any, config).fan_in_fan_out = True  # GPT-2's Conv1D keeps its weight as (inputs, outputs)
    return cast(nn.Module, get_peft_model(model, config, autocast_adapter_dtype=True))


@quietly()
def save(model: nn.Module, folder: Path) -> None:
    """The adapter in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`."""
    adapted = cast(PeftModel, model)
    for config in adapted.peft_config.values():
        # the base is named by digest in the plan; a path would not travel, and PEFT writes one in place of None
        config.base_model_name_or_path = ""
    with torch.no_grad():  # as it answers: the LSTM that makes P-tuning's vectors has another kernel under gradients
        adapted.save_pretrained(str(folder), safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's card has blanks to fill in; ours is written on export


@quietly()
def load(model: PreTrainedModel, folder: Path) -> nn.Module:
    """The base with the adapter that `save` wrote; of the folder PEFT sees no pickle, and no key that names code.

    Raises MachineError for an adapter that does not fit the base, and for one that has not all weights that its
    configuration asks for: PEFT would keep what it began with.
    """
    with vetted(folder, ADAPTER) as view, _told(folder):
        for name in (CONFIG, WEIGHTS):
            if not (view / name).is_file():
                raise MachineError(f"the adapter {folder} has no {name}")
        _check_config(view / CONFIG)
        adapted = PeftModel.from_pretrained(model, str(view), is_trainable=False)
        with safe_open(view / WEIGHTS, framework="pt") as file:
            lacking = sorted(get_peft_model_state_dict(adapted, save_embedding_layers=False).keys() - file.keys())
    if lacking:
        raise MachineError(f"the adapter {folder} cannot be used: its weights lack `{lacking[0]}`")
    return cast(nn.Module, adapted)


def fault_of_config(config: Mapping[str, Any]) -> str | None:
    """What in a configuration of PEFT's would keep it busy for ever, in a sentence."""
    if (pattern := slow_pattern(config)) is not None:
        return f"the pattern `{pattern[:SHOWN]}` might take for ever: list the names instead"
    if len(repr(config.get("layer_replication"))) > MOST_REPLICATED:
        return "`layer_replication` is too long"
    return None


def _check_config(file: Path) -> None:
    """Raises ValueError for a configuration that PEFT must not see: it takes what is no number for one, too."""
    config = json.loads(file.read_bytes(), parse_constant=_refuse)
    if (fault := fault_of_config(config)) is not None:
        raise ValueError(fault)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} stands in its configuration")


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What PEFT raises of a configuration or of weights that are none of this base's, as a MachineError."""
    try:
        yield
    except (AttributeError, LookupError, SafetensorError, TypeError, ValueError) as error:
        reason = f"PEFT cannot load it: {type(error).__name__}: {first_line(error)}"
        raise MachineError(f"the adapter {folder} cannot be used: {reason}") from error


@quietly()
def merge(model: nn.Module) -> PreTrainedModel:
    """The base alone, the adapter added to its weights, in the base's own type.

    Raises UsageError for a method that is no change of weights, or whose PEFT cannot add it.
    """
    adapted = cast(PeftModel, model)
    method = adapted.active_peft_config.peft_type.value
    if adapted.active_peft_config.is_prompt_learning:
        raise UsageError(f"{method} learns a prompt and changes no weight: there is nothing to merge")
    if not hasattr(adapted.base_model, "merge_and_unload"):
        raise UsageError(f"PEFT cannot merge {method} into the weights of its base")
    try:
        return cast("PreTrainedModel", cast(Any, adapted).merge_and_unload(safe_merge=True))
    except NotImplementedError as error:
        raise UsageError(f"PEFT cannot merge {method} into the weights of its base: {error}") from error


def linear_names(model: PreTrainedModel) -> list[str]:
    """The whole names of the linear modules that `all-linear` means: every one but the output head."""
    head = model.get_output_embeddings()
    kinds = (nn.Linear, Conv1D)
    return [name for name, module in model.named_modules() if isinstance(module, kinds) and module is not head]


def tuner(model: nn.Module) -> Any:
    """PEFT's own model of the method, inside its wrapper."""
    return cast(PeftModel, model).base_model
