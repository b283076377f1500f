"""Fit a prompt: the technique finds options of its own on the training rows, before they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from customspec.plan import Step
from customspec.runners.bases import load_base, make_way
from customspec.runners.fitting import fit_prompt
from customspec.runners.measure import measuring
from customspec.runners.rows import write_json
from customspec.runners.work import Work, settled


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes `fit.json`; the values are the options found, and what finding them cost."""
    params = settled(step, work)
    make_way(params, work)
    peak = measuring(work.machine.device, work.machine.torch_device)
    work.tell(0, None, "loading the model")
    fitted = fit_prompt(params, load_base(params, work), work)
    found = {"options": dict(fitted.options), "scored": fitted.scored, "fit_seconds": fitted.seconds}
    write_json(folder / "fit.json", found)
    return {**found, "peak_memory_bytes": peak()}
