"""The licence of a base model, from its own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gguf import GGUFWriter

from customspec.inputs.licence import licence_of
from customspec.inputs.models import ModelFiles


def folder(path: Path) -> ModelFiles:
    return ModelFiles("folder", path, "model", "sha256:0")


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\ntags: [x]\n---\n# Model\n", "mit"),
        ("---\ntags: [x]\n---\n", None),
        ("# No metadata\n", None),
        ("---\nlicense: [a, b]\n---\n", None),
        ("---\nlicense: {\n---\n", None),
        (None, None),
    ],
)
def test_a_folders_card_tells(tmp_path: Path, card: str | None, licence: str | None) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert licence_of(folder(tmp_path)) == licence


def test_a_card_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "README.md")
    assert licence_of(folder(tmp_path)) is None


@pytest.mark.parametrize("licence", ["apache-2.0", None])
def test_a_gguf_files_metadata_tells(tmp_path: Path, licence: str | None) -> None:
    file = tmp_path / "model.gguf"
    writer = GGUFWriter(file, "llama")
    writer.add_file_type(3)
    writer.add_name("tiny")
    if licence is not None:
        writer.add_license(licence)
    writer.add_token_list(["a", "b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert licence_of(ModelFiles("gguf", file, "model.gguf", "sha256:0")) == licence


def test_a_gguf_file_that_was_cut_off_tells_nothing(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x01" * 20)
    assert licence_of(ModelFiles("gguf", file, "model.gguf", "sha256:0")) is None
