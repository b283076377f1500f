"""Where things lie that the command line names: a spec's store, and the store of this folder."""

from __future__ import annotations

import os
from pathlib import Path

from customspec.errors import UsageError
from customspec.inputs.paths import STORE_FOLDER

STORE_VARIABLE = "CUSTOMSPEC_STORE"


def store_root(spec: Path, store: Path | None) -> Path:
    """The store's folder: the option, the environment variable, or beside the spec. Raises UsageError for a file."""
    root = _named(spec, store)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is no folder; the store must be one: name another with --store, or {STORE_VARIABLE}")
    return root


def _named(spec: Path, store: Path | None) -> Path:
    if store is not None:
        return store
    named = os.environ.get(STORE_VARIABLE)
    return Path(named) if named else spec.resolve().parent / STORE_FOLDER


def store_here(store: Path | None) -> Path:
    """The store's folder for a command that reads no spec: as `store_root`, beside the specs of this folder."""
    return _named(Path("spec"), store)
