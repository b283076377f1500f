"""Whether a disk is to blame for an exception, and what is then told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from customspec.inputs.regular import read_regular
from customspec.store import trouble


def of_the_system(number: int, path: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), None if path is None else str(path))


def behind(cause: Exception) -> Exception:
    """An exception of a library that says nothing of its cause."""
    try:
        try:
            raise cause
        except Exception:
            raise RuntimeError("unexpected pos 576 vs 534") from None
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (of_the_system(errno.ENOSPC), "no space is left"),
        (of_the_system(errno.EIO), "the disk fails to read or write"),
        (behind(of_the_system(errno.EDQUOT)), "the quota is used up"),
        (Exception("I/O error: No space left on device (os error 28)"), "no space is left"),
        (Exception("I/O error: Input/output error (os error 5)"), "the disk fails to read or write"),
    ],
)
def test_what_a_disk_is_to_blame_for_is_told_with_the_place(tmp_path: Path, error: Exception, told: str) -> None:
    found = trouble(error, tmp_path)
    assert found is not None
    assert str(found).startswith(f"{tmp_path}: {told} (")
    assert "name another store with --store" in str(found)


def test_the_remedy_is_one_for_the_place_of_the_file(tmp_path: Path) -> None:
    elsewhere = trouble(of_the_system(errno.ENOSPC, Path("/tmp/x")), tmp_path)
    assert str(elsewhere).endswith("bytes free); free some, and run again: finished steps are kept")
    assert str(trouble(of_the_system(errno.EACCES, Path("/nowhere/x")), tmp_path)).endswith(
        "; see to it, and run again: finished steps are kept"
    )
    here = trouble(of_the_system(errno.EROFS, tmp_path / "x"), tmp_path, "name another file")
    assert str(here).endswith("bytes free); name another file")


@pytest.mark.parametrize(
    "error",
    [
        Exception("No such file or directory (os error 2)"),
        MemoryError(),
        of_the_system(errno.ENOENT),
        KeyboardInterrupt(),
        ValueError("a shape of (3, 4)"),
    ],
    ids=repr,
)
def test_what_no_disk_is_to_blame_for_is_told_by_others(tmp_path: Path, error: BaseException) -> None:
    assert trouble(error, tmp_path) is None


def test_a_file_too_large_to_be_read_is_no_disk_that_is_full(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(OSError, match="is larger than 4 bytes") as caught:
        read_regular(tmp_path / "large", 4)
    assert trouble(caught.value, tmp_path) is None
