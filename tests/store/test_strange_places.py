"""Pipes, devices, files and folders where the store has other things: an end with a sentence, never a wait."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from faults import run

from customspec.errors import CustomspecError
from customspec.plan import Plan
from customspec.store import Checkpoints, Store
from customspec.store.upkeep import find_faults, leftovers, mend, remove, unreferred

Act = Callable[[Plan, Store], None]
KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "file": lambda path: path.write_text("x"),
    "folder": lambda path: (path / "in").mkdir(parents=True),
    "dangling": lambda path: path.symlink_to(path.parent / "nowhere" / "at-all"),
    "zero": lambda path: path.symlink_to("/dev/zero"),
}
FOLDERS = (
    "tmp",
    "quarantine",
    "checkpoints",
    "locks",
    "memo",
    "memo/texts",
    "hub",
    "answers",
    "headers",
    "objects",
    "runs",
)


@contextmanager
def in_time(seconds: int = 60) -> Iterator[None]:
    """A wait for a pipe would last for ever."""

    def waited(*_: object) -> None:
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def repair(_: Plan, store: Store) -> None:
    for fault in list(find_faults(store)):
        mend(store, fault)


def clean(_: Plan, store: Store) -> None:
    with store.cleaning(0.5):
        for removal in list(unreferred(store, 0, time.time())):
            remove(removal, store)
        for fault in list(leftovers(store)):
            mend(store, fault)


ACTS: dict[str, Act] = {"run": run, "repair": repair, "clean": clean}


def places(store: Store) -> list[str]:
    """All that is there, and what may be."""
    there = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*")}
    keys = sorted(path.name for path in (store.root / "objects").glob("*/*"))
    may_be = {
        f"locks/{keys[0]}.holder",
        "locks/cleaning",
        f"checkpoints/{keys[0]}",
        "runs/odd",
        "runs/faults-0001/.running",
    }
    return sorted({".", "objects/zz", *FOLDERS, *there, *may_be})


def put(path: Path, kind: str) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](path)


def look(plan: Plan, tmp_path: Path, stride: int) -> None:
    made = Store(tmp_path / "made")
    run(plan, made)
    cases = [(name, kind, act) for name in places(made) for kind in KINDS for act in ACTS]
    for name, kind, act in cases[::stride]:
        copy = tmp_path / "copy"
        shutil.copytree(made.root, copy)
        put(copy / name if name != "." else copy, kind)
        with in_time(), suppress(CustomspecError, OSError):  # what the command line tells in a sentence
            ACTS[act](plan, Store(copy))
        if copy.is_dir() and not copy.is_symlink():
            shutil.rmtree(copy)
        else:
            copy.unlink()


def test_some_strange_things_stop_nothing(plan: Plan, tmp_path: Path) -> None:
    look(plan, tmp_path, stride=11)


@pytest.mark.faults
def test_no_strange_thing_stops_anything(plan: Plan, tmp_path: Path) -> None:
    look(plan, tmp_path, stride=1)


@pytest.mark.parametrize("name", ["objects/ab/abc", "checkpoints/abc", "quarantine/abc", "memo/texts/001.json"])
def test_a_pipe_is_cleaned_away(tmp_path: Path, plan: Plan, name: str) -> None:
    store = Store(tmp_path / "store")
    put(store.root / name, "pipe")
    with in_time():
        clean(plan, store)
    assert not os.path.lexists(store.root / name)


def test_a_pipe_for_a_checkpoint_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(tmp_path / "checkpoints" / "abc" / "00000003", "pipe")
    checkpoints = Checkpoints(store.root, "abc", "train:lora@0")
    with in_time():
        assert checkpoints.newest() is None
    assert list((tmp_path / "checkpoints" / "abc").iterdir()) == []


def test_a_step_ends_well_where_its_holders_place_is_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(tmp_path / "locks" / "abc.holder", "folder")
    with in_time(), store.lock("abc"):
        pass
    assert not (tmp_path / "locks" / "abc.holder").exists()


@pytest.mark.parametrize(
    "name", ["objects", "objects/ab", "checkpoints", "quarantine", "memo", "memo/texts", "runs", "tmp"]
)
def test_nothing_is_removed_behind_a_link_within_a_store(tmp_path: Path, plan: Plan, name: str) -> None:
    mine = tmp_path / "mine"
    for path in (
        mine / "ab" / "file",
        mine / "texts" / "file",
        mine / "ab" / ".tmp-1",
        mine / "file",
        mine / "file.tmp",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (mine, *mine.rglob("*")):
        os.utime(path, (0, 0))
    before = sorted(mine.rglob("*"))
    place = tmp_path / "store" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(mine)
    for act in (clean, repair):
        act(plan, Store(tmp_path / "store"))
    assert sorted(mine.rglob("*")) == before


def test_a_lock_is_not_made_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "store" / "locks").mkdir(parents=True)
    (tmp_path / "store" / "locks" / "cleaning").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"), Store(tmp_path / "store").cleaning():
        pass
    assert not (tmp_path / "mine").exists()


def test_a_store_that_is_a_link_is_cleaned(tmp_path: Path, plan: Plan) -> None:
    made = Store(tmp_path / "made")
    run(plan, made)
    (tmp_path / "store").symlink_to(made.root)
    clean(plan, Store(tmp_path / "store"))
    assert not list((made.root / "objects").glob("*/*"))
