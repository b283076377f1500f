"""A model's header and tokenizer, read once by a helper process (transformers is heavy) and kept by digest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from customspec.errors import Code, Exit
from customspec.header import ModelHeader
from customspec.inputs.models import ModelError, ModelFiles

HEADER = "header.json"
REVISION = "2"  # raised when the helper writes something else


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A usable model: its files, its header, and a folder with its tokenizer."""

    files: ModelFiles
    header: ModelHeader
    tokenizer: Path


def read_model(files: ModelFiles, cache: Path) -> KnownModel:
    """The model's header, from `cache` or by the helper process. Raises ModelError when the model cannot be used."""
    # another transformers may read another header out of the same files
    folder = cache / f"{files.digest.removeprefix('sha256:')}-{REVISION}-{version('transformers')}"
    if not (folder / HEADER).is_file():
        _read_in_helper(files, folder)
    header = ModelHeader.from_json(json.loads((folder / HEADER).read_bytes()))
    return KnownModel(files, header, folder)


def _read_in_helper(files: ModelFiles, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        _run_helper(files, temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / HEADER).is_file():  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run_helper(files: ModelFiles, folder: Path) -> None:
    command = [sys.executable, "-P", "-m", "customspec.ml.headers", str(files.path), str(folder)]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if ended.returncode == 0:
        return
    try:
        fault = json.loads(ended.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        reason = (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise ModelError(Code.MODEL_UNUSABLE, f"the header of {files.label} cannot be read: {reason}") from None
    raise ModelError(Code(fault["code"]), f"{files.label}: {fault['message']}", exit=Exit(fault["exit"]))
