"""What a spec names on a hub and is not here yet, fetched before the plan is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from customspec.errors import MachineError
from customspec.inputs.hub_rows import cached_rows
from customspec.inputs.models import cached_snapshot
from customspec.inputs.splits import SPLITS
from customspec.spec import BaseModelSpec, Spec


def fetch(spec: Spec, cache: Path, tell: Callable[[str], None]) -> None:
    """Fetch every missing hub model and data set. Raises MachineError with the hub's reason."""
    own = [entry.base_model for entry in spec.techniques or () if entry.base_model is not None]
    for ref in dict.fromkeys([spec.base_model, *own]):
        _fetch_model(ref, tell)
    for name in SPLITS:
        split = getattr(spec.data, name)
        if split is not None and split.hub is not None and cached_rows(split, cache) is None:
            tell(f"fetching data set {split.hub}")
            _ask(split.hub, {"rows": split.model_dump(mode="json"), "cache": str(cache.absolute())})


def _fetch_model(ref: BaseModelSpec, tell: Callable[[str], None]) -> None:
    if ref.hub is not None and cached_snapshot(ref.hub, ref.revision) is None:
        tell(f"fetching model {ref.hub}")
        _ask(ref.hub, {"model": ref.hub, "revision": ref.revision})


def _ask(hub: str, question: Mapping[str, Any]) -> None:
    """In a process that an interrupt ends, in a folder where no name on a hub is that of something else."""
    command = [sys.executable, "-P", "-m", "customspec.runners.fetcher"]
    with tempfile.TemporaryDirectory(prefix="customspec-") as empty:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,  # its bars are shown
            text=True,
            cwd=empty,
            env=_environment(),
            process_group=0,  # a terminal's interrupt is for the one that asks
        )
        try:
            told, _ = process.communicate(json.dumps(question))
        except BaseException:
            process.kill()
            process.communicate()
            raise
    if process.returncode:
        raise MachineError(_reason(told) or f"fetching {hub} ended with {process.returncode}")


def _environment() -> Mapping[str, str]:
    from huggingface_hub import constants

    hub = {"HF_HUB_CACHE": str(Path(constants.HF_HUB_CACHE).absolute())}
    places = {
        name: str(Path(os.environ[name]).absolute()) for name in ("HF_HOME", "HF_DATASETS_CACHE") if name in os.environ
    }
    return {**os.environ, **places, **hub, "HF_HUB_OFFLINE": str(int(constants.HF_HUB_OFFLINE))}


def _reason(told: str) -> str | None:
    try:
        return str(json.loads(told.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        return None
