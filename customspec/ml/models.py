"""Base models: read from a folder of safetensors, converted once from GGUF, saved whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GgufConfig

from customspec.errors import MachineError, first_line
from customspec.inputs.gguf import check_gguf
from customspec.inputs.vetting import vetted
from customspec.ml.gguf_once import reading_once
from customspec.ml.quiet import quietly, swallowing_bars
from customspec.ml.wholeness import fault_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
SHARD = "2GB"  # one file is one native call, which no signal ends: seconds
_WITH_LOADING_INFO: Mapping[str, Any] = MappingProxyType({"output_loading_info": True, "ignore_mismatched_sizes": True})


@quietly()
def load_model(
    folder: Path,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    *,
    quantization: Mapping[str, Any] | None = None,
) -> PreTrainedModel:
    """A causal decoder from a folder of safetensors, in evaluation mode; no code of the folder's runs.

    `quantization`: `bits` and bitsandbytes' options, for every linear module but the output head; `dtype` is then that
    of all other weights, and of what the quantized ones compute. Raises MachineError where a weight is missing or of
    another shape than config.json says: transformers would fill it with random numbers.
    """
    settings: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True, **_WITH_LOADING_INFO}
    if quantization is not None:
        # quantized where they are put, one after another: the whole model in `dtype` is never there
        settings |= {"quantization_config": _bits_and_bytes(quantization, dtype), "device_map": {"": device}}
    with vetted(folder) as view, _told(folder):
        model = _whole(AutoModelForCausalLM.from_pretrained(str(view), trust_remote_code=False, **settings), folder)
    model.config.name_or_path = model.name_or_path = str(folder)
    return cast("PreTrainedModel", model.eval() if quantization is not None else model.eval().to(device))


@contextmanager
def _told(where: Path) -> Iterator[None]:
    """What transformers raises of a stranger's numbers, as a MachineError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SafetensorError) as error:
        reason = f"transformers cannot load it: {type(error).__name__}: {first_line(error)}"
        raise MachineError(f"the model {where} cannot be used: {reason}") from error


def _whole(loaded: object, where: Path) -> PreTrainedModel:
    """The model of what `from_pretrained` returns under `_WITH_LOADING_INFO`."""
    model, loading_info = cast("tuple[PreTrainedModel, dict[str, Any]]", loaded)
    if fault := fault_of(model, loading_info):
        raise MachineError(f"the model {where} cannot be used: {fault}")
    return model


def _bits_and_bytes(quantization: Mapping[str, Any], dtype: torch.dtype) -> BitsAndBytesConfig:
    if quantization["bits"] == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization["bnb_4bit_quant_type"],
        bnb_4bit_use_double_quant=quantization["bnb_4bit_use_double_quant"],
        bnb_4bit_compute_dtype=dtype,
    )


@quietly()
@reading_once()
def convert_gguf(file: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write a GGUF file's weights, dequantized to `dtype`, and its tokenizer as a folder of safetensors.

    Raises MachineError as `load_model`.
    """
    check_gguf(file)
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(file.parent),
        "gguf_file": file.name,
        "local_files_only": True,
    }
    with swallowing_bars(), _told(file):
        settings = {"dtype": dtype, "quantization_config": GgufConfig(dequantize=True), **_WITH_LOADING_INFO}
        loaded = AutoModelForCausalLM.from_pretrained(**where, trust_remote_code=False, **settings)
    model = _whole(loaded, file)
    _forget_quantization(model)
    model.save_pretrained(str(folder), max_shard_size=SHARD)
    AutoTokenizer.from_pretrained(**where, trust_remote_code=False).save_pretrained(str(folder))


@quietly()
def save_whole(model: nn.Module, folder: Path) -> None:
    """Every weight of a trained model, as safetensors in the type that its base was loaded in; the model stays."""
    whole = cast("PreTrainedModel", model)
    dtype = getattr(torch, str(whole.config.dtype).removeprefix("torch."))  # saving leaves it as text
    cast_once: dict[int, torch.Tensor] = {}  # by address: tied weights stay one tensor, and are written once
    state = {name: cast_once.setdefault(part.data_ptr(), part.to(dtype)) for name, part in whole.state_dict().items()}
    whole.save_pretrained(str(folder), state_dict=state, max_shard_size=SHARD)


def _forget_quantization(model: PreTrainedModel) -> None:
    # the weights are plain numbers now; a quantization entry would make readers expect packed ones
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
