"""A GGUF file's header, walked through before a library reads it: sizes in it are a stranger's, and may be absurd.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Final

MAX_KEYS: Final = 100_000
MAX_TENSORS: Final = 1_000_000
MAX_DIMENSIONS: Final = 4
MAX_ITEMS: Final = 1 << 23  # of all arrays; the largest vocabularies have a few hundred thousand tokens
STRING, ARRAY = 8, 9
SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes, by value type
WHOLE: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 10: "<Q", 11: "<q"}  # value types
ALIGNMENT, LAYERS = b"general.alignment", b".block_count"


class GgufError(ValueError):
    """A file that is not what its header says."""


def check_gguf(path: Path) -> None:
    """Raises GgufError for a header that promises what the file does not hold, and OSError."""
    if path.stat().st_size < 24:
        raise GgufError("it is cut off within its header")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _Walk(content).check()


class _Walk:
    """One way through the header, from its beginning to the tensors' data."""

    def __init__(self, content: mmap.mmap) -> None:
        from gguf.constants import GGML_QUANT_SIZES

        self.content = content
        self.at = 0
        self.items = 0
        self.sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}  # numbers of a block, and its bytes

    def check(self) -> None:
        if self._bytes(4) != b"GGUF":
            raise GgufError("its first bytes are not `GGUF`")
        version = self._number("<I")
        if version not in {2, 3}:
            raise GgufError(f"its version is {version}; versions 2 and 3, little-endian, are read")
        tensors, keys = self._number("<Q"), self._number("<Q")
        if keys > MAX_KEYS or tensors > MAX_TENSORS:
            raise GgufError(f"it promises {keys} keys and {tensors} tensors")
        told: dict[bytes, int | None] = {}
        for _ in range(keys):
            name = self._string()
            told[name] = self._value(self._number("<I"))
        if len(told) < keys:
            raise GgufError("a key stands in it twice")
        _check_layers(told, tensors)
        self._check_tensors(tensors, _alignment(told))

    def _check_tensors(self, count: int, alignment: int) -> None:
        found = dict(self._tensor() for _ in range(count))
        if len(found) < count:
            raise GgufError("a tensor stands in it twice")
        begin = -(-self.at // alignment) * alignment
        if found and begin + max(found.values()) > len(self.content):
            raise GgufError("a tensor lies behind the end of the file; was the copy interrupted?")

    def _value(self, kind: int) -> int | None:
        """Passes over a value; a whole number is told."""
        if kind == STRING:
            self._string()
        elif kind == ARRAY:
            self._array()
        elif kind in WHOLE:
            return self._number(WHOLE[kind])
        elif kind in SIZES:
            self._bytes(SIZES[kind])
        else:
            raise GgufError(f"a value is of the unknown type {kind}")
        return None

    def _array(self) -> None:
        kind, count = self._number("<I"), self._number("<Q")
        self.items += count
        if self.items > MAX_ITEMS or kind == ARRAY:
            raise GgufError(f"an array in it has {count} items of type {kind}")
        if kind in SIZES:
            self._bytes(SIZES[kind] * count)
        for _ in range(count if kind not in SIZES else 0):
            self._value(kind)

    def _tensor(self) -> tuple[bytes, int]:
        """A tensor's name, and where it ends behind the beginning of the data."""
        name = self._string()
        dimensions = self._number("<I")
        if dimensions > MAX_DIMENSIONS:
            raise GgufError(f"a tensor in it has {dimensions} dimensions")
        shape = [self._number("<Q") for _ in range(dimensions)]
        if prod(shape) > 8 * 8 * len(self.content):  # no type has less than an eighth of a byte for a number
            raise GgufError("a tensor is larger than the file")
        numbers, size = self.sizes.get(self._number("<I"), (1, 0))  # what is unknown is refused by its reader
        return name, self._number("<Q") + prod(shape) // numbers * size

    def _string(self) -> bytes:
        return self._bytes(self._number("<Q"))

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._bytes(struct.calcsize(form)))[0])

    def _bytes(self, count: int) -> bytes:
        found = self.content[self.at : self.at + count]
        if len(found) < count:
            raise GgufError("it is cut off within its header")
        self.at += count
        return found


def _alignment(told: Mapping[bytes, int | None]) -> int:
    """Bytes, of which the data begin at a multiple."""
    found = told.get(ALIGNMENT, 32)
    if found is None or not 0 < found <= 1 << 16:
        raise GgufError(f"its alignment is {found}")
    return found


def _check_layers(told: Mapping[bytes, int | None], tensors: int) -> None:
    """A model is laid out from these keys before its weights are seen: one that is much too large is never done."""
    for name, value in told.items():
        if name.endswith(LAYERS) and value is not None and not 0 < value <= tensors:
            raise GgufError(f"it promises {value} layers; it has {tensors} tensors")
