"""A step's base model, out of what its run keeps loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from customspec.runners.work import Work

if TYPE_CHECKING:
    from torch import dtype
    from transformers import PreTrainedModel


def make_way(params: Mapping[str, Any], work: Work) -> None:
    """Free the base of another step, so that its memory is not counted as this one's."""
    work.warm.bases.keep_only(_key(params, work))


def load_base(params: Mapping[str, Any], work: Work) -> PreTrainedModel:
    """The candidate's base in the machine's compute type or in fewer bits: modules of its own around weights that the
    run keeps, unless they are quantized."""
    from customspec.ml.models import load_model

    (dtype, device), quantization, folder = placed(work), params.get("quantization"), work.model_folder()
    return work.warm.bases.lend(
        _key(params, work), lambda: load_model(folder, dtype, device, quantization=quantization)
    )


def placed(work: Work) -> tuple[dtype, str]:
    """The machine's compute type, and where its models lie."""
    from customspec.ml.models import DTYPES

    return DTYPES[work.machine.compute_dtype], work.machine.torch_device


def _key(params: Mapping[str, Any], work: Work) -> tuple[str, ...]:
    quantization = json.dumps(params.get("quantization"), sort_keys=True)
    return str(work.model_folder()), work.machine.compute_dtype, work.machine.torch_device, quantization
