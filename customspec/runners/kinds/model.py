"""Resolve a base model: a GGUF file becomes a folder of safetensors once; a folder is used where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from customspec.plan import Step
from customspec.runners.work import Work


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes the converted model into `folder`; nothing for a folder model."""
    if step.params["kind"] != "gguf":
        return {"converted": False}
    from customspec.ml.models import DTYPES, convert_gguf

    work.tell(0, None, "converting GGUF to safetensors")
    convert_gguf(Path(step.sources["path"]), folder, DTYPES[work.machine.compute_dtype])
    return {"converted": True}
