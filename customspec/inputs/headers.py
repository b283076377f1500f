"""A model's header and tokenizer, read once by a helper process (transformers is heavy) and kept by digest."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from customspec.errors import Code, Exit, MachineError
from customspec.header import ModelHeader
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.digests import sha256_file
from customspec.inputs.helper import helper
from customspec.inputs.models import ModelError, ModelFiles
from customspec.inputs.regular import clear_away, is_hollow
from customspec.inputs.unusable import ANOTHER, unusable

HEADER = "header.json"
REVISION = "8"  # raised when the helper writes something else
CPU: Final = 600  # seconds of computing; the largest models there are take a minute
MEMORY: Final = 8 << 30  # bytes; the largest models there are take one or two

log = logging.getLogger("customspec")


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
        _clear(folder)
        _read_in_helper(files, folder)
        known = _kept(folder)
    if known is None:
        raise MachineError(f"{folder} is changed by another process while it is written; try again")
    return KnownModel(files, known[0], folder, known[1])


def _kept(folder: Path) -> tuple[ModelHeader, tuple[str, ...]] | None:
    """The header and the keys that name code, if all that the helper wrote is as it was written."""
    known: Any = read_checksummed(folder / HEADER)
    try:
        if known["files"] == _digests(folder):
            return ModelHeader.from_json(known["header"]), tuple(map(str, known["code"]))
    except (KeyError, TypeError, ValueError, AttributeError, OSError):  # as it was written, but no header
        pass
    return None


def is_kept(folder: Path) -> bool:
    """Whether what was kept of a model is as it was written, by whatever version."""
    known = read_checksummed(folder / HEADER)
    return isinstance(known, dict) and known.get("files") == _digests(folder)


def _clear(folder: Path) -> None:
    """Remove what is there, which is damaged and may be no folder, to make room for what is read anew."""
    if not os.path.lexists(folder):
        return
    log.warning("what was kept of a model is damaged: %s is made again", folder)
    clear_away(folder)


def _read_in_helper(files: ModelFiles, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        _run_helper(files, temporary)
        header = json.loads((temporary / HEADER).read_bytes())
        write_checksummed(temporary / HEADER, {**header, "files": _digests(temporary)})
        try:
            temporary.rename(folder)
        except OSError:
            if _kept(folder) is None:  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """The digests of the folder's regular files; links, pipes and what is holes for the most part are left out."""
    regular = (path for path in folder.glob("*") if path.name != HEADER and S_ISREG(path.lstat().st_mode))
    files = (path for path in regular if not is_hollow(path))
    return {path.name: sha256_file(path) for path in files}


def _run_helper(files: ModelFiles, folder: Path) -> None:
    answered = helper().ask("headers", [str(files.path), str(folder)], cpu=CPU, memory=MEMORY)
    if answered.code == 0:
        return
    if answered.asks_too_much:
        message = f"the header of {files.label} cannot be read: it asks for too much time or memory"
        raise unusable(message, ANOTHER)
    try:
        fault = json.loads(answered.out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        message = f"the header of {files.label} cannot be read: {answered.last_words}"
        raise unusable(message, ANOTHER) from None
    message = f"{files.label}: {fault['message']}"
    raise ModelError(Code(fault["code"]), message, hint=fault["hint"] or ANOTHER, exit=Exit(fault["exit"]))
