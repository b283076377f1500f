from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.inputs.regular import read_regular


def test_a_regular_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "file", 4)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # a socket's name is short


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, device, listening])
@pytest.mark.parametrize("follow", [False, True])
def test_nothing_else_is_waited_for(tmp_path: Path, make: Callable[[Path], None], follow: bool) -> None:
    make(tmp_path / "other")
    with pytest.raises(OSError, match=r"regular|directory|symbolic|such device"):
        read_regular(tmp_path / "other", follow=follow)


def test_a_link_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", follow=True) == b"12345"
    with pytest.raises(OSError, match="symbolic links"):
        read_regular(tmp_path / "link")
