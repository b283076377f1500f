"""Any method of PEFT by its name: its configuration made and checked, its trained parameters counted."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

import torch
from peft import PeftConfig, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType
from transformers import AutoConfig, AutoModelForCausalLM

from customspec.errors import first_line
from customspec.ml.adapters import fault_of_config
from customspec.suggest import closest, did_you_mean

OURS = frozenset(
    {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "peft_version", "revision", "task_type"}
)


# files, other models and modules, which PEFT would open, fetch or import by the names that stand there
NAMING: Final = re.compile(
    r"\w+_(path|file|folder|dir|kwargs|model)|adapters|auto_mapping|(megatron|tokenizer)_\w+", re.IGNORECASE
)


def configuration(method: str, config: Mapping[str, Any]) -> PeftConfig:
    """PEFT's configuration of a method. Raises ValueError for options that name files, models or code, for what might
    take for ever, and what PEFT raises of values that do not fit."""
    if fault := _fault_of(config):
        raise ValueError(fault)
    return PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(method)](task_type="CAUSAL_LM", **config)


def look(method: str, config: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """`trained`: how many parameters the method trains of a model of this configuration; or why it cannot be:
    `message`, with `option`, `item` and `hint` as a Refusal has them."""
    known = {kind.value: made for kind, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if method not in known:
        nearest = closest(method.upper(), known)
        hint = did_you_mean(nearest, f"it has: {', '.join(sorted(known))}")
        return {"message": f"PEFT {version('peft')} has no method `{method}`", "option": "method", "hint": hint}
    options = {field.name for field in dataclasses.fields(known[method])} - OURS
    for name in config:
        if name not in options:
            return _unknown(name, method, options)
        if fault := _fault_of({name: config[name]}):
            return {"message": f"{method}: {fault}", "option": "config", "item": name}
    try:
        made = configuration(method, config)
    except (TypeError, ValueError) as error:
        return {"message": f"{method}: {error}", "option": "config"}
    return _counted(method, made, model)


def _fault_of(config: Mapping[str, Any]) -> str | None:
    if (named := next(_naming(config), None)) is not None:
        return f"`{named}` names a file, a model or code, which no spec may do"
    return fault_of_config(config)


def _naming(config: object) -> Iterator[str]:
    """The options, inner ones too, that name what is not in the spec."""
    if isinstance(config, list | tuple):
        for inner in config:
            yield from _naming(inner)
    elif isinstance(config, Mapping):
        for name, inner in config.items():
            if NAMING.fullmatch(str(name)):
                yield str(name)
            yield from _naming(inner)


def _unknown(name: str, method: str, options: set[str]) -> dict[str, Any]:
    nearest = closest(name, options)
    hint = did_you_mean(nearest, f"it has: {', '.join(sorted(options))}")
    return {"message": f"{method} has no option `{name}`", "option": "config", "item": name, "hint": hint}


def _counted(method: str, made: PeftConfig, model: Mapping[str, Any]) -> dict[str, Any]:
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind = AutoConfig.for_model(**model)
            adapted = get_peft_model(AutoModelForCausalLM.from_config(kind), made)
    except Exception as error:  # whatever it is, the method cannot be put on this model
        return {"message": f"{method} cannot be put on this model: {first_line(error)}", "option": "config"}
    return {"trained": sum(part.numel() for part in adapted.parameters() if part.requires_grad)}
