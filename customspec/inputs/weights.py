"""The headers of safetensors files, checked against the files before anything is allocated by them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from customspec.inputs.unusable import ANEW, unusable

MOST_HEADER = 16 << 20  # bytes; a hundred thousand tensors fill as many
_DIMENSIONS = 16
_BITS = MappingProxyType(  # all that the library reads
    {
        "F4": 4,
        **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
        **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
        **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
        **dict.fromkeys(("U32", "I32", "F32"), 32),
        **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    }
)


def check_safetensors(path: Path, label: str) -> Mapping[str, Any]:
    """The header of a safetensors file, whose size must be what the header promises. Raises ModelError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size + 1
        if length > size:
            raise unusable(f"{label} is not a safetensors file, or was cut off", ANEW)
        if length > MOST_HEADER:
            raise unusable(f"{label} has a header of more than {MOST_HEADER >> 20} MiB", ANEW)
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            data = _data_bytes(tensors, size)
        except (ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
            raise unusable(f"{label} has an unreadable safetensors header", ANEW) from error
    promised = 8 + length + data
    if size > promised:
        raise unusable(f"{label} has more than it promises: {size} bytes instead of {promised}", ANEW)
    if size < promised:
        raise unusable(f"{label} is incomplete: it promises {promised} bytes and has {size}", ANEW)
    return tensors


def _data_bytes(tensors: Mapping[str, Any], size: int) -> int:
    """The bytes behind the header. Raises ValueError unless each tensor fills its place, one after another."""
    end = 0
    for start, stop, entry in sorted(map(_placed, tensors.values()), key=lambda placed: placed[:2]):
        numbers = _numbers(entry["shape"], max(size, stop - start) * 8)
        if start != end or stop < start or numbers * _BITS[entry["dtype"]] != (stop - start) * 8:
            raise ValueError("a tensor does not fill its place")
        end = stop
    return end


def _placed(entry: Mapping[str, Any]) -> tuple[int, int, Mapping[str, Any]]:
    start, stop = entry["data_offsets"]
    if type(start) is not int or type(stop) is not int:
        raise ValueError("a place is no whole number")
    return start, stop, entry


def _numbers(shape: list[int], most: int) -> int:
    """How many numbers a shape holds. Raises ValueError for what is no shape, or one of more than `most` numbers."""
    if len(shape) > _DIMENSIONS or any(type(dimension) is not int or dimension < 0 for dimension in shape):
        raise ValueError("not the shape of a tensor")
    numbers = 0 if 0 in shape else 1
    for dimension in shape:
        numbers *= dimension
        if numbers > most:
            raise ValueError("a tensor is larger than its file")
    return numbers
