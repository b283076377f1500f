"""A GGUF file's header, walked through before a library reads it: sizes in it are a stranger's, and may be absurd.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Final

MAX_KEYS: Final = 5_000  # models have a hundred; they are looked through for each of them
MAX_TENSORS: Final = 1_000_000
MAX_DIMENSIONS: Final = 4
MAX_ITEMS: Final = 1 << 23  # of all arrays; the largest vocabularies have a few hundred thousand tokens
STRING, ARRAY = 8, 9
SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes, by value type
NUMBERS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 10: "<Q", 11: "<q", 12: "<d"}
ALIGNMENT, LAYERS, WIDTH, EMBEDDING = "general.alignment", "block_count", "embedding_length", "token_embd.weight"
POSITIVE: Final = frozenset({LAYERS, WIDTH, "context_length", "vocab_size"})
# zero where a model has none of it, such as Mamba's of heads
COUNTS: Final = frozenset({"feed_forward_length", "attention.head_count", "attention.head_count_kv", "expert_count"})
MOST_SIZE: Final = 2**31 - 1

Told = Mapping[str, int | float | None]


class GgufError(ValueError):
    """A file that is not what its header says."""


def check_gguf(path: Path) -> None:
    """Raises GgufError for a header that promises what the file does not hold, and OSError."""
    if path.stat().st_size < 24:
        raise GgufError("it is cut off within its header")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _Walk(content).check()


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor's name, its shape (the widths of its rows first) and its place behind the beginning of the data."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int


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
        tensors, keys = int(self._number("<Q")), int(self._number("<Q"))
        if keys > MAX_KEYS or tensors > MAX_TENSORS:
            raise GgufError(f"it promises {keys} keys and {tensors} tensors")
        told: dict[str, int | float | None] = {}
        for _ in range(keys):
            name = self._text()
            told[name] = self._value(int(self._number("<I")))
        if len(told) < keys:
            raise GgufError("a key stands in it twice")
        _check_numbers(told)
        found = {tensor.name: tensor for tensor in (self._tensor() for _ in range(tensors))}
        if len(found) < tensors:
            raise GgufError("a tensor stands in it twice")
        _check_places(found.values(), self.at, len(self.content), _alignment(told))
        _check_sizes(told, found)

    def _value(self, kind: int) -> int | float | None:
        """Passes over a value; a number is told."""
        if kind == STRING:
            self._text()
        elif kind == ARRAY:
            self._array()
        elif kind in NUMBERS:
            return self._number(NUMBERS[kind])
        elif kind in SIZES:
            self._bytes(SIZES[kind])
        else:
            raise GgufError(f"a value is of the unknown type {kind}")
        return None

    def _array(self) -> None:
        kind, count = int(self._number("<I")), int(self._number("<Q"))
        self.items += count
        if self.items > MAX_ITEMS or kind == ARRAY:
            raise GgufError(f"an array in it has {count} items of type {kind}")
        if kind in SIZES:
            self._bytes(SIZES[kind] * count)
        for _ in range(count if kind not in SIZES else 0):
            self._value(kind)

    def _tensor(self) -> _Tensor:
        name = self._text()
        dimensions = int(self._number("<I"))
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise GgufError(f"a tensor in it has {dimensions} dimensions")
        shape = tuple(int(self._number("<Q")) for _ in range(dimensions))
        if not 0 < prod(shape) <= 8 * 8 * len(self.content):  # no type has less than an eighth of a byte for a number
            raise GgufError("a tensor is larger than the file" if prod(shape) else "a tensor is empty")
        kind = int(self._number("<I"))
        if kind not in self.sizes:
            raise GgufError(f"a tensor is of the unknown type {kind}")
        numbers, size = self.sizes[kind]
        start = int(self._number("<Q"))
        return _Tensor(name, shape, start, start + prod(shape) // numbers * size)

    def _text(self) -> str:
        try:
            return self._bytes(int(self._number("<Q"))).decode()
        except UnicodeDecodeError as error:
            raise GgufError("a text in it is not UTF-8") from error

    def _number(self, form: str) -> int | float:
        [number] = struct.unpack(form, self._bytes(struct.calcsize(form)))
        assert isinstance(number, int | float)
        return number

    def _bytes(self, count: int) -> bytes:
        found = self.content[self.at : self.at + count]
        if len(found) < count:
            raise GgufError("it is cut off within its header")
        self.at += count
        return found


def _alignment(told: Told) -> int:
    """Bytes, of which the data begin at a multiple."""
    found = told.get(ALIGNMENT, 32)
    if not isinstance(found, int) or not 0 < found <= 1 << 16:
        raise GgufError("its alignment is no number" if found is None else f"its alignment is {found}")
    return found


def _check_numbers(told: Told) -> None:
    """Libraries hand these on to a model as they are."""
    for name, value in told.items():
        size = name.partition(".")[2]
        least = 1 if size in POSITIVE else 0
        if isinstance(value, float) and not isfinite(value):
            raise GgufError(f"its `{name}` is {value}")
        if size not in POSITIVE | COUNTS or value is None:  # some models tell them by layer
            continue
        if not isinstance(value, int) or not least <= value <= MOST_SIZE:
            raise GgufError(f"its `{name}` is {value}, not a whole number from {least} to {MOST_SIZE}")


def _check_places(tensors: Iterable[_Tensor], header: int, size: int, alignment: int) -> None:
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.start):
        if tensor.start % alignment:
            raise GgufError(f"a tensor does not begin at a multiple of {alignment} bytes")
        if tensor.start < end:
            raise GgufError("two tensors share a place")
        end = tensor.stop
    if -(-header // alignment) * alignment + end > size:
        raise GgufError("a tensor lies behind the end of the file; was the copy interrupted?")


def _check_sizes(told: Told, tensors: Mapping[str, _Tensor]) -> None:
    """A model is laid out from these keys before its weights are seen: one that is much too large is never done."""
    blocks = {int(found[1]) for name in tensors if (found := re.match(r"blk\.([0-9]{1,9})\.", name))}
    most = max(blocks) + 1 if blocks else len(tensors)
    for name, value in told.items():
        size = name.partition(".")[2]
        if size == LAYERS and value is not None and value > most:
            raise GgufError(f"it promises {value} layers; its tensors are of {most}")
        width = next(iter(tensors[EMBEDDING].shape), 1) if EMBEDDING in tensors else value
        if size == WIDTH and value not in {None, width}:
            raise GgufError(f"its `{name}` is {value}; its tokens' vectors are of {width} numbers")
