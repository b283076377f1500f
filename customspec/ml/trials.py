"""What trying a model has shown, kept with the model: what was tried once as it is now is not tried again."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from customspec.ml.batching import bare
from customspec.ml.memory import is_out_of_memory
from customspec.ml.shared_prefix import learns_prompt

_PLACE = "_customspec_trials"


class Trials:
    """Verdicts by the model as it was when it was tried. Copies of a model share them."""

    def __init__(self) -> None:
        self._found: dict[Hashable, str | None] = {}

    def __deepcopy__(self, memo: object) -> Trials:
        return self

    @classmethod
    def of(cls, model: nn.Module) -> Trials:
        """Those of the bare model, which holds them."""
        found = vars(bare(model)).setdefault(_PLACE, cls())
        assert isinstance(found, cls)
        return found

    def verdict(self, key: Hashable, off: Callable[[], float], tolerance: float) -> str | None:
        """None where `off()`, in nats a token, is within the tolerance, else what is wrong. Kept under `key`, but for
        what may pass: a lack of memory, and weights that are not finite."""
        if key in self._found:
            return self._found[key]
        try:
            found = off()
        except Exception as error:  # whatever it is, it says that this model cannot
            fault: str | None = f"a shared pass over it fails ({error})"
            passing = is_out_of_memory(error)
        else:
            fault = None if found <= tolerance else f"a shared pass over it is off by {found:.2g} a token"
            passing = not math.isfinite(found)
        if not passing:
            self._found[key] = fault
        return fault


def as_it_is(model: nn.Module) -> Hashable:
    """All that a verdict may depend on beside weights: what computes, in which type, and what stands around it."""
    base = bare(model)
    adapter = model.active_peft_config.peft_type if isinstance(model, PeftModel) else None
    attention = base.config.get_text_config(decoder=True)._attn_implementation
    # a technique may put modules and hooks of its own into any place
    parts = tuple((type(part), len(part._forward_hooks), len(part._forward_pre_hooks)) for part in base.modules())
    config = base.config.to_json_string(use_diff=False)
    return (
        hash(config),
        parts,
        attention,
        base.dtype,
        computed_in(base),
        base.device.type,
        adapter,
        learns_prompt(model),
    )


def computed_in(model: PreTrainedModel) -> torch.dtype:
    """The type whose rounding shows: autocast's where it is on, even over float32 weights."""
    device = model.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else model.dtype
