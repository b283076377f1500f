"""The tokenizer's files beside a whole model, so that other programs open the folder as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from customspec.inputs.headers import HEADER, read_model
from customspec.inputs.models import ModelFiles


def copy_tokenizer(files: ModelFiles, cache: Path, folder: Path) -> None:
    """The tokenizer's files as the run read them, chat template included: bytes alone, since what the store keeps is
    read-only."""
    for path in read_model(files, cache / "headers").tokenizer.iterdir():
        if path.name == HEADER:
            continue
        if path.is_dir():
            shutil.copytree(path, folder / path.name, copy_function=shutil.copyfile, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, folder / path.name)
