"""A model's header and tokenizer, read once by a helper process (transformers is heavy) and kept by digest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from customspec.errors import Code, Exit
from customspec.header import ModelHeader
from customspec.inputs.digests import read_sealed, sha256_file, write_sealed
from customspec.inputs.models import ModelError, ModelFiles

HEADER = "header.json"
REVISION = "6"  # raised when the helper writes something else


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A usable model: its files, its header, and a folder with its tokenizer."""

    files: ModelFiles
    header: ModelHeader
    tokenizer: Path
    code: tuple[str, ...] = ()
    """Keys of its JSON files that name code of the model's own, which is never run: `config.json: auto_map`."""


def read_model(files: ModelFiles, cache: Path) -> KnownModel:
    """The model's header, from `cache` or by the helper process. Raises ModelError when the model cannot be used."""
    # another transformers may read another header out of the same files
    folder = cache / f"{files.digest.removeprefix('sha256:')}-{REVISION}-{version('transformers')}"
    known = _kept(folder)
    if known is None:
        shutil.rmtree(folder, ignore_errors=True)  # what is there is damaged
        known = _read_in_helper(files, folder)
    return KnownModel(files, ModelHeader.from_json(known["header"]), folder, tuple(known["code"]))


def _kept(folder: Path) -> Any | None:
    """What the helper told, if all that it wrote is as it was written."""
    known = read_sealed(folder / HEADER)
    return known if known is not None and known["files"] == _digests(folder) else None


def _read_in_helper(files: ModelFiles, folder: Path) -> Any:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        _run_helper(files, temporary)
        told = json.loads((temporary / HEADER).read_bytes())
        known = {**told, "files": _digests(temporary)}
        write_sealed(temporary / HEADER, known)
        try:
            temporary.rename(folder)
        except OSError:
            if _kept(folder) is None:  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return known


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in folder.glob("*") if path.name != HEADER and path.is_file()}


def _run_helper(files: ModelFiles, folder: Path) -> None:
    command = [sys.executable, "-P", "-m", "customspec.ml.headers", str(files.path), str(folder)]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", env=quiet, check=False)
    if ended.returncode == 0:
        return
    if ended.returncode in {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGABRT}:
        message = f"the header of {files.label} cannot be read: it asks for too much time or memory"
        raise ModelError(Code.MODEL_UNUSABLE, message)
    try:
        fault = json.loads(ended.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        reason = (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise ModelError(Code.MODEL_UNUSABLE, f"the header of {files.label} cannot be read: {reason}") from None
    raise ModelError(Code(fault["code"]), f"{files.label}: {fault['message']}", exit=Exit(fault["exit"]))
