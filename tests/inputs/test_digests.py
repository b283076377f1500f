from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from customspec.inputs import digests
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.digests import LARGE, SETTLED, Digests, folder_digest, has_digest, sha256_file


def later() -> int:
    return time.time_ns() + 10 * SETTLED


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * (LARGE // 256))
    return path


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def remembered(memory: Path) -> list[str]:
    return [entry["sha256"] for entry in (read_checksummed(memory / "digests.json") or {}).values()]


def plant(memory: Path, sha256: str) -> None:
    """Change what is remembered, so that a digest from memory can be told from a fresh one."""
    path = memory / "digests.json"
    write_checksummed(path, {place: {**entry, "sha256": sha256} for place, entry in read_checksummed(path).items()})  # type: ignore[union-attr]


# --- digests of files


def test_what_is_nearly_all_holes_has_no_digest_and_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").write_bytes(b"whole")
    (tmp_path / "hollow").write_bytes(b"whole")
    digest = sha256_file(tmp_path / "whole")
    os.truncate(tmp_path / "hollow", 1 << 40)
    assert has_digest(tmp_path / "whole", digest)
    monkeypatch.setattr(digests, "sha256_file", lambda _: digest)
    assert not has_digest(tmp_path / "hollow", digest)


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, 3 * 2**20 + 1])
def test_the_digest_is_sha256_of_the_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    expected = "sha256:" + hashlib.sha256(content).hexdigest()
    assert sha256_file(path) == Digests(None).sha256(path) == Digests(tmp_path).sha256(path) == expected


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_file(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        Digests(tmp_path).sha256(tmp_path / "none")


def test_a_large_file_is_read_once(large: Path, memory: Path) -> None:
    digests = Digests(memory, later)
    assert digests.sha256(large) == sha256_file(large)
    plant(memory, "sha256:remembered")
    assert digests.sha256(large) == "sha256:remembered"
    assert Digests(None).sha256(large) == sha256_file(large)


def test_a_moved_or_linked_file_is_known_again(large: Path, memory: Path) -> None:
    digests = Digests(memory, later)
    (large.parent / "link").symlink_to(large)
    digests.sha256(large.parent / "link")
    plant(memory, "sha256:remembered")
    assert digests.sha256(large) == "sha256:remembered"


def test_a_changed_file_is_read_again_even_with_its_size_and_time_put_back(large: Path, memory: Path) -> None:
    digests, before = Digests(memory, later), large.stat()
    digests.sha256(large)
    plant(memory, "sha256:remembered")
    while large.stat().st_ctime_ns == before.st_ctime_ns:  # the file system's clock may not have ticked yet
        large.write_bytes(b"\1" * before.st_size)
        os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert large.stat().st_mtime_ns == before.st_mtime_ns
    assert digests.sha256(large) == sha256_file(large)
    assert remembered(memory) == [sha256_file(large)], "one entry for one file"


def test_another_file_of_the_same_bytes_size_is_not_confused(large: Path, memory: Path) -> None:
    other = large.with_name("other.bin")
    other.write_bytes(b"\2" * large.stat().st_size)
    digests = Digests(memory, later)
    assert [digests.sha256(large), digests.sha256(other)] == [sha256_file(large), sha256_file(other)]
    assert sorted(remembered(memory)) == sorted([sha256_file(large), sha256_file(other)])


def test_a_small_file_is_not_remembered(tmp_path: Path, memory: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"\0" * (LARGE - 1))
    Digests(memory, later).sha256(path)
    assert not memory.exists()


@pytest.mark.parametrize(("age", "known"), [(-SETTLED, False), (0, False), (SETTLED - 1, False), (SETTLED, True)])
def test_a_file_written_within_two_seconds_is_not_remembered(large: Path, memory: Path, age: int, known: bool) -> None:
    seen = large.stat()
    written = max(seen.st_mtime_ns, seen.st_ctime_ns)
    assert Digests(memory, lambda: written + age).sha256(large) == sha256_file(large)
    assert len(remembered(memory)) == known


def test_an_old_time_put_on_a_fresh_file_does_not_make_it_settled(large: Path, memory: Path) -> None:
    os.utime(large, (0, 0))
    Digests(memory).sha256(large)
    assert remembered(memory) == []


def test_a_file_that_changes_while_it_is_read_is_not_remembered(large: Path, memory: Path) -> None:
    def changing() -> int:
        """The clock is looked at between the first look at the file and its reading."""
        large.write_bytes(b"\3" * (LARGE + 1))
        return later()

    Digests(memory, changing).sha256(large)
    assert remembered(memory) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\0" * 100, b'{"value": {}, "digest": "sha256:0"}', b"\xff"])
def test_an_unreadable_memory_is_an_empty_one(large: Path, memory: Path, content: bytes) -> None:
    memory.mkdir()
    (memory / "digests.json").write_bytes(content)
    assert Digests(memory, later).sha256(large) == sha256_file(large)
    assert remembered(memory) == [sha256_file(large)]


def test_a_memory_that_cannot_be_written_costs_nothing(large: Path, memory: Path) -> None:
    memory.write_bytes(b"no folder")
    assert Digests(memory, later).sha256(large) == sha256_file(large)


RACE = """
import pathlib, sys, time
from customspec.inputs.digests import Digests
digests = Digests(pathlib.Path(sys.argv[1]), lambda: time.time_ns() + 10**11)
for path in map(pathlib.Path, sys.argv[2:]):
    print(digests.sha256(path))
"""


def test_racing_writers_lose_nothing_worse_than_a_memo(tmp_path: Path, memory: Path) -> None:
    paths = [tmp_path / str(number) for number in range(40)]
    for path in paths:
        path.write_bytes(os.urandom(LARGE))
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE, memory, *paths[start:], *paths[:start]], stdout=subprocess.PIPE)
        for start in (0, 10, 20, 30)
    ]
    assert [racer.communicate()[0].count(b"sha256:") for racer in racers] == [40] * 4
    assert [racer.returncode for racer in racers] == [0] * 4
    truth = {sha256_file(path) for path in paths}
    assert remembered(memory)
    assert set(remembered(memory)) <= truth
    assert [path.name for path in memory.iterdir()] == ["digests.json"]
    assert {Digests(memory, later).sha256(path) for path in paths} == truth


# --- digests of folders


def test_a_folders_digest_depends_on_names_and_digests_but_not_on_their_order() -> None:
    digests = {"a": "sha256:1", "b": "sha256:2"}
    assert folder_digest(digests) == folder_digest({"b": "sha256:2", "a": "sha256:1"})
    others = [{"a": "sha256:2", "b": "sha256:1"}, {"a": "sha256:1"}, {"a": "sha256:1", "c": "sha256:2"}, {}]
    assert len({folder_digest(digests), *map(folder_digest, others)}) == 5


def test_importing_the_module_pulls_no_heavy_library() -> None:
    code = "import sys, customspec.inputs.digests; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "customspec.inputs.digests" in modules
    assert not {"torch", "transformers", "peft", "numpy", "pydantic", "asyncio"} & set(modules)
