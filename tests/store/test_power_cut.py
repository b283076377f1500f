"""What a power cut may leave: writes that were not synced are lost, zeroed or cut, names that were not are gone.

The store's operations are recorded while it publishes. After each of them the power is cut, and every file and name
that was not on the disk by then is put into each state that a file system may leave it in. None may be taken for a
result.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from published import KEY, Publish

from customspec.plan import Result
from customspec.store import Store

BLOCK = 512
CHANCES = 6  # random mixtures for each place to cut


@dataclass
class Disk:
    """What is certainly on the disk: contents by inode, and the names of each folder by the folder's inode."""

    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """The tree as processes see it, and what of it would survive."""

    tree: Mapping[str, bytes | None]
    synced: Mapping[str, bytes | None]
    """For each path whose name is on the disk: the content that is, or None for a folder or for nothing yet."""


def record(root: Path, act: Callable[[], object], patch: pytest.MonkeyPatch) -> list[Moment]:
    disk, moments = Disk(), []
    sync, rename = os.fsync, os.rename

    def looked() -> None:
        moments.append(Moment(seen(root), survived(root, disk)))

    def fsync(descriptor: int) -> None:
        looked()
        sync(descriptor)
        status = os.fstat(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            disk.names[status.st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            disk.contents[status.st_ino] = path.read_bytes()
        looked()

    def renamed(source: os.PathLike[str], target: os.PathLike[str]) -> None:
        looked()
        rename(source, target)
        looked()

    patch.setattr(os, "fsync", fsync)
    patch.setattr(os, "rename", renamed)
    act()
    looked()
    patch.undo()
    return moments


def seen(root: Path) -> dict[str, bytes | None]:
    paths = sorted(root.rglob("*"))
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in paths}


def survived(root: Path, disk: Disk) -> dict[str, bytes | None]:
    """By walking down the names that are on the disk."""
    found: dict[str, bytes | None] = {}
    for path in sorted(root.rglob("*")):
        parent, status = path.parent, path.lstat()
        above = parent == root or str(parent.relative_to(root)) in found
        if above and disk.names.get(parent.stat().st_ino, {}).get(path.name) == status.st_ino:
            found[str(path.relative_to(root))] = disk.contents.get(status.st_ino) if path.is_file() else None
    return found


def torn(whole: bytes, certain: bytes | None) -> list[bytes]:
    """What may be in a file of which not all was synced."""
    if certain == whole:
        return [whole]
    half = len(whole) // 2 // BLOCK * BLOCK
    return [whole, b"", bytes(len(whole)), whole[:half], whole[:half] + bytes(len(whole) - half)]


def states(moment: Moment, chance: random.Random) -> Iterator[dict[str, bytes | None]]:
    """Only what is certain; all of it; each single thing that is not; and mixtures."""
    open_names = [path for path in moment.tree if path not in moment.synced]
    choices = {
        path: torn(content, moment.synced.get(path)) for path, content in moment.tree.items() if content is not None
    }
    yield built(moment, dict.fromkeys(open_names, False), {path: torn_to[-1] for path, torn_to in choices.items()})
    yield built(moment, {}, {})
    for path, options in choices.items():
        for content in options[1:]:
            yield built(moment, {}, {path: content})
    for path in open_names:
        yield built(moment, {path: False}, {})
    for _ in range(CHANCES):
        names = {path: chance.random() < 0.5 for path in open_names}
        yield built(moment, names, {path: chance.choice(options) for path, options in choices.items()})


def built(moment: Moment, names: Mapping[str, bool], contents: Mapping[str, bytes]) -> dict[str, bytes | None]:
    kept: dict[str, bytes | None] = {}
    for path, content in moment.tree.items():
        parent = str(Path(path).parent)
        if names.get(path, True) and (parent == "." or parent in kept):
            kept[path] = contents.get(path, content) if content is not None else None
    return kept


def lay(state: Mapping[str, bytes | None], root: Path) -> None:
    for path, content in state.items():
        if content is None:
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)


def test_whatever_a_power_cut_leaves_is_a_whole_result_or_none(
    tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    store.root.mkdir()
    right: list[Result] = []
    moments = record(store.root, lambda: right.append(publish(store, KEY)), monkeypatch)
    assert len(moments) > 15
    chance, tried, there = random.Random(0), 0, []
    for moment in moments:
        whole = []
        for state in {tuple(sorted(state.items())): state for state in states(moment, chance)}.values():
            again = Store(tmp_path / "torn")
            again.root.mkdir()
            lay(state, again.root)
            found = again.get(KEY)
            assert found is None or found.values == right[0].values
            made = publish(again, KEY)
            assert made.values == right[0].values
            assert again.get(KEY) is not None
            whole.append(found is not None)
            tried += 1
            shutil.rmtree(again.root)
        there.append(all(whole))
    assert tried > 150
    assert there[-1], "what was published stays"
    assert there == sorted(there)
