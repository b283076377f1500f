"""Base models: read from a folder of safetensors, converted once from GGUF, saved whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from customspec.ml.quiet import quietly, swallowing_bars

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@quietly()
def load_model(folder: Path, dtype: torch.dtype, device: torch.device | str = "cpu") -> PreTrainedModel:
    """A causal decoder from a folder of safetensors, in evaluation mode; no code of the folder's runs."""
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )
    return cast("PreTrainedModel", model.eval().to(device))


@quietly()
def convert_gguf(file: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write a GGUF file's weights, dequantized to `dtype`, and its tokenizer as a folder of safetensors."""
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(file.parent),
        "gguf_file": file.name,
        "local_files_only": True,
    }
    with swallowing_bars():
        model = AutoModelForCausalLM.from_pretrained(
            **where, dtype=dtype, quantization_config=GgufConfig(dequantize=True), trust_remote_code=False
        )
    _forget_quantization(model)
    model.save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(**where, trust_remote_code=False).save_pretrained(str(folder))


@quietly()
def save_whole(model: nn.Module, folder: Path) -> None:
    """Every weight of a trained model, as safetensors in the type that its base was loaded in; the model stays."""
    whole = cast("PreTrainedModel", model)
    dtype = getattr(torch, str(whole.config.dtype).removeprefix("torch."))  # saving leaves it as text
    cast_once: dict[int, torch.Tensor] = {}  # by address: tied weights stay one tensor, and are written once
    state = {name: cast_once.setdefault(part.data_ptr(), part.to(dtype)) for name, part in whole.state_dict().items()}
    whole.save_pretrained(str(folder), state_dict=state)


def _forget_quantization(model: PreTrainedModel) -> None:
    # the weights are plain numbers now; a quantization entry would make readers expect packed ones
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
