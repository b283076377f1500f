"""A GGUF file is opened once while its header is read or it is converted."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from gguf_files import write_gguf

from customspec.ml.gguf_once import reading_once
from customspec.ml.headers import read_header
from customspec.ml.models import convert_gguf, load_model
from customspec.testing.workbench import difference


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Each opening of a GGUF file."""
    found: list[Path] = []
    before = gguf.GGUFReader

    def reader(path: Path) -> object:
        found.append(Path(path))
        return before(path)

    monkeypatch.setattr(gguf, "GGUFReader", reader)
    return found


def test_a_file_is_opened_once_and_its_weights_are_the_models(
    tiny_folder: Path, tmp_path: Path, opened: list[Path]
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", tiny_folder)
    opened.clear()
    read_header(file)
    assert opened == [file]
    opened.clear()
    convert_gguf(file, tmp_path / "converted", torch.float32)
    assert opened == [file]
    converted, own = (load_model(folder, torch.float32) for folder in (tmp_path / "converted", tiny_folder))
    assert difference(converted, own) < 1e-2  # the file rounds them


def test_afterwards_a_file_that_has_changed_is_read_anew(opened: list[Path], tmp_path: Path, tiny_folder: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", tiny_folder)
    for _ in range(2):
        opened.clear()
        with reading_once():
            gguf.GGUFReader(file)
            gguf.GGUFReader(file)
        assert opened == [file]
