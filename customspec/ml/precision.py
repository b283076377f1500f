"""The type that matrix products are computed in."""

from __future__ import annotations

import contextlib

import torch


def computing(device: str, compute_dtype: str) -> contextlib.AbstractContextManager[object]:
    """Autocast where the compute type is bfloat16: a float32 adapter on a bfloat16 base is multiplied in bfloat16.

    What is bfloat16 already stays as it is. `device` is a torch device type.
    """
    return torch.autocast(device, dtype=torch.bfloat16) if compute_dtype == "bfloat16" else contextlib.nullcontext()
