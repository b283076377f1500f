"""What a spec names on a hub and is not here yet, fetched before the plan is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from customspec.errors import MachineError
from customspec.inputs.hub_rows import cached_rows, fetch_rows
from customspec.inputs.models import ModelError, cached_snapshot, fetch_snapshot
from customspec.inputs.rows import RowError
from customspec.inputs.splits import SPLITS
from customspec.spec import BaseModelSpec, Spec


def fetch(spec: Spec, cache: Path, tell: Callable[[str], None]) -> None:
    """Fetch every missing hub model and data set. Raises MachineError with the hub's reason."""
    own = [entry.base_model for entry in spec.techniques or () if entry.base_model is not None]
    try:
        for ref in dict.fromkeys([spec.base_model, *own]):
            _fetch_model(ref, tell)
        for name in SPLITS:
            split = getattr(spec.data, name)
            if split is not None and split.hub is not None and cached_rows(split, cache) is None:
                tell(f"fetching data set {split.hub}")
                fetch_rows(split, cache)
    except (ModelError, RowError) as error:
        raise MachineError(str(error)) from error


def _fetch_model(ref: BaseModelSpec, tell: Callable[[str], None]) -> None:
    if ref.hub is not None and cached_snapshot(ref.hub, ref.revision) is None:
        tell(f"fetching model {ref.hub}")
        fetch_snapshot(ref.hub, ref.revision)
