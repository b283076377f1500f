from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.inputs.checksummed import checked_value, read_checksummed, with_checksum, write_checksummed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON)
def test_what_is_written_is_read(value: object) -> None:
    assert checked_value(with_checksum(value)) == value


@settings(deadline=None)
@given(JSON, st.data())
def test_a_flipped_bit_is_noticed_or_changes_nothing(value: object, data: st.DataObject) -> None:
    content = bytearray(with_checksum(value))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert checked_value(bytes(content)) in (None, value)


@settings(deadline=None)
@given(JSON, st.data())
def test_what_is_cut_off_reads_as_absent(value: object, data: st.DataObject) -> None:
    content = with_checksum(value)
    assert checked_value(content[: data.draw(st.integers(0, len(content) - 1))]) is None


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        with_checksum({"loss": float("nan")})


def test_a_failed_write_keeps_the_old_value_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "memo.json"
    write_checksummed(path, 1)
    with pytest.raises(TypeError):
        write_checksummed(path, object())
    assert read_checksummed(path) == 1
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_checksummed(tmp_path / "folder", 1)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "folder", path]


def test_a_reader_of_the_old_value_is_not_disturbed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "memo.json"
    write_checksummed(path, "old")
    with path.open("rb") as reader:
        write_checksummed(path, "new")
        assert checked_value(reader.read()) == "old"
    assert read_checksummed(path) == "new"
