"""The licence of a base model, as far as its own files tell it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

from customspec.inputs.gguf import SIZES, STRING
from customspec.inputs.models import ModelFiles
from customspec.inputs.regular import read_regular

_MOST: Final = 1 << 16  # bytes of one text
_MOST_CARD: Final = 4 << 20  # bytes


def licence_of(files: ModelFiles) -> str | None:
    """The licence's identifier, for instance `apache-2.0`: of a folder from its model card, of a GGUF file from its
    metadata. None where they don't say."""
    found = _in_gguf(files.path) if files.kind == "gguf" else _in_card(files.path / "README.md")
    return found.strip() or None if found else None


def _in_card(card: Path) -> str | None:
    from huggingface_hub.repocard import metadata_load

    try:
        read_regular(card, _MOST_CARD, follow=True)  # a pipe would be waited for
        licence = (metadata_load(card) or {}).get("license")
    except Exception:  # no card, or one whose YAML is not read: its faults are not ours
        return None
    return licence if isinstance(licence, str) else None


def _in_gguf(file: Path) -> str | None:
    """`general.license`; the `general` keys come first, long before the vocabulary, which the gguf package would read
    as well."""
    try:
        with file.open("rb") as stream:
            return _licence(stream)
    except (OSError, OverflowError, struct.error):
        return None


def _licence(stream: BinaryIO) -> str | None:
    _, _, _, count = struct.unpack("<4sIQQ", stream.read(24))
    for _ in range(count):
        name = _text(stream)
        (kind,) = struct.unpack("<I", stream.read(4))
        if kind == STRING:
            value = _text(stream)
            if name == "general.license":
                return value
        elif kind in SIZES:
            stream.seek(SIZES[kind], 1)
        else:
            return None
    return None


def _text(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", stream.read(8))
    text = stream.read(min(length, _MOST)).decode(errors="replace")
    stream.seek(max(0, length - _MOST), 1)
    return text
