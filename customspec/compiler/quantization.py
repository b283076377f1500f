"""`quantization`: whether the technique can train beside weights in fewer bits, and whether this machine has them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from customspec.compiler.entries import Draft, blaming_plugin, tuning_of
from customspec.compiler.problems import Problems
from customspec.errors import Code, Exit
from customspec.hookspecs import Refusal, TakesQuantized


def check_quantization(draft: Draft, device: str | None, problems: Problems) -> None:
    """Add a problem where the technique or this machine cannot do it. `device` is None where the spec is only read,
    maybe for another machine."""
    wanted, at = draft.entry.quantization, (*draft.at, "quantization")
    if wanted is None:
        return
    refusal = _refusal(draft, wanted.bits)
    if refusal is not None:
        message = f"technique `{draft.main.technique.name}`: {refusal.message}"
        problems.add(Code.MODEL_REFUSES_TECHNIQUE, at, message, hint=refusal.hint, key=True)
    if device is not None and device != "cuda":
        message = f"`quantization` needs a CUDA GPU; this run computes on {device}"
        hint = "remove it to run here: the weights stay as they are, and take more memory"
        problems.add(Code.DEVICE_MISSING, at, message, hint=hint, key=True, exit=Exit.ENVIRONMENT)
    if device == "cuda" and find_spec("bitsandbytes") is None:
        message = "`quantization` needs bitsandbytes, which is not installed"
        hint = "pip install 'customspec[quantization]'"
        problems.add(Code.EXTRA_MISSING, at, message, hint=hint, key=True, exit=Exit.ENVIRONMENT)


def quantization_of(draft: Draft) -> dict[str, Any] | None:
    """The setting as it stands in a step's parameters, with the version of bitsandbytes: another may compute something
    else."""
    if draft.entry.quantization is None:
        return None
    try:
        installed: str | None = version("bitsandbytes")
    except PackageNotFoundError:
        installed = None
    return {**draft.entry.quantization.model_dump(), "bitsandbytes": installed}


def _refusal(draft: Draft, bits: int) -> Refusal | None:
    tuning = tuning_of(draft)
    if tuning is None:
        return None  # a prompt needs nothing of the weights
    technique, options = tuning
    if not isinstance(technique, TakesQuantized):
        return Refusal("it cannot train beside quantized weights", hint="`lora` with `quantization` is QLoRA")
    with blaming_plugin(draft.main):
        return technique.quantized_refusal(options, bits)
