"""Files of weights: safetensors headers, as their own library reads them, and shards."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from model_folders import fill, sharded, tensors

from customspec.inputs.models import ModelError, weight_shapes
from customspec.inputs.weights import check_safetensors


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 20, -1, -30])
def test_a_safetensors_file_that_was_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(tensors((2, 3), (4,))[:cut])
    with pytest.raises(ModelError, match=r"not a safetensors file, or was cut off|incomplete|unreadable"):
        check_safetensors(path, "model")


def test_a_safetensors_file_with_bytes_to_spare_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(tensors((2, 3)) + b"!")
    size = path.stat().st_size
    with pytest.raises(ModelError, match=f"has more than it promises: {size} bytes instead of {size - 1}"):
        check_safetensors(path, "model")


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"t": 1}',
        b'{"t": {}}',
        b'{"t": {"data_offsets": []}}',
        b'{"t": {"data_offsets": [0, "x"]}}',
        b'{"t": {"data_offsets": null}}',
        *(
            b'{"t": {"dtype": "F32", "shape": [0], "data_offsets": [%b]}}' % places
            for places in (b"0, 1e400", b"NaN, NaN", b"0.0, 0.0", b"false, false", b'"0", "0"', b"0, 0, 0")
        ),
        b'{"t": {"dtype": "Q9", "shape": [0], "data_offsets": [0, 0]}}',
        b"[" * 100_000,
    ],
    ids=repr,
)
def test_a_safetensors_header_of_garbage_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match="unreadable safetensors header"):
        check_safetensors(path, "model")


def test_a_safetensors_header_is_read_as_its_own_library_reads_it(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.int8)}, path, metadata={"format": "pt"})
    read = check_safetensors(path, "model")
    assert {name: (entry["dtype"], entry["shape"]) for name, entry in read.items()} == {
        "a": ("F32", [2, 3]),
        "b": ("I8", [5]),
    }


@pytest.mark.parametrize("dimensions", [17, 1_500_000])
def test_a_shape_of_many_dimensions_is_no_shape(tmp_path: Path, dimensions: int) -> None:
    header = json.dumps({"a": {"dtype": "U8", "shape": [9] * dimensions, "data_offsets": [0, 1]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    with pytest.raises(ModelError, match="unreadable safetensors header"):
        check_safetensors(path, "model")


def test_a_header_larger_than_any_models_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 17 << 20) + b" " * (17 << 20))
    with pytest.raises(ModelError, match="has a header of more than 16 MiB"):
        check_safetensors(path, "model")


def test_of_weights_in_one_file_and_in_shards_those_are_looked_at_that_are_loaded(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", {**sharded(), "model.safetensors": tensors((7, 5))})
    assert weight_shapes(folder, "model") == {"t0": (7, 5)}
    (folder / "model.safetensors").unlink()
    assert weight_shapes(folder, "model") == {"t0": (4,)}  # of two shards with one name, transformers keeps the last
