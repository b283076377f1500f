"""What techniques that PEFT implements have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from customspec.hookspecs import Refusal

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PeftAdapter:
    """Saved and loaded in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`."""

    family: Literal["tuning"] = "tuning"

    def save(self, model: nn.Module, folder: Path) -> None:
        """The adapter alone, float32."""
        from customspec.ml.adapters import save

        save(model, folder)

    def load(self, model: PreTrainedModel, folder: Path) -> nn.Module:
        """The base with the adapter on it."""
        from customspec.ml.adapters import load

        return load(model, folder)


class MergingAdapter(PeftAdapter):
    """An adapter that changes what weights do, so that it can be merged into them."""

    def merge(self, model: nn.Module) -> PreTrainedModel:
        """The base's own modules with the adapter in their weights."""
        from customspec.ml.adapters import merge

        return merge(model)


class BesideQuantized:
    """An adapter that changes no weight of the base, so that these may be quantized."""

    def quantized_refusal(self, options: Any, bits: int) -> Refusal | None:
        """No refusal: any options will do."""
        return None
