"""Resolve a base model: a GGUF file becomes a folder of safetensors once; a folder is used where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from customspec.errors import RefusedError
from customspec.inputs.digests import sha256_file
from customspec.plan import Step
from customspec.runners.work import Work


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes the converted model into `folder`; nothing for a folder model."""
    if step.params["kind"] != "gguf":
        return {"converted": False}
    from customspec.ml.models import DTYPES, convert_gguf

    work.tell(0, None, "converting GGUF to safetensors")
    source = Path(step.sources["path"])
    convert_gguf(source, folder, DTYPES[work.machine.compute_dtype])
    if sha256_file(source) != step.params["digest"]:  # hashed after reading: what changed meanwhile cannot pass
        raise RefusedError(f"the model {step.sources['label']} changed after the plan was made; run again")
    return {"converted": True}
