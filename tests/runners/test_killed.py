"""A run that was killed is told of by the next one, once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.runners import killed
from customspec.runners.killed import BOOT, killed_runs, note_beginning
from customspec.store import Store, occupancy
from customspec.store.occupancy import shared
from customspec.store.upkeep import RUNNING
from support import Ended, Workspace

pytestmark = pytest.mark.skipif(not BOOT.exists(), reason="reads /proc")
LINES = (
    "2026-01-01 00:00:00,000 INFO evaluate:zero_shot@0:test: done\n2026-01-01 00:00:01,000 INFO train:lora@0: started\n"
)


def left(store: Store, *, kills: int = 0, boot: str | None = None, age: float = 60.0) -> Path:
    """The folder of a run that ended without a word."""
    folder = store.new_run("colours")
    noted = {"boot": BOOT.read_text().strip() if boot is None else boot, "kills": kills}
    (folder / RUNNING).write_text(json.dumps(noted))
    (folder / "log.txt").write_text(LINES)
    os.utime(folder / RUNNING, (time.time() - age,) * 2)
    return folder


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many processes the kernel has ended."""
    monkeypatch.setattr(killed, "COUNTERS", tmp_path / "vmstat")

    def set_to(number: int) -> None:
        (tmp_path / "vmstat").write_text(f"pgfault 12\noom_kill {number}\nzone 3\n")

    set_to(0)
    return set_to


def test_it_is_told_once_with_the_step_that_was_at_work(tmp_path: Path, counted: Callable[[int], None]) -> None:
    store = Store(tmp_path / "store")
    left(store)
    (told,) = killed_runs(store)
    kept = "what it finished is kept, this run goes on from there"
    assert told == f"the run colours-0001 was killed at train:lora@0: {kept}"
    assert list(killed_runs(store)) == []


def test_the_kernels_part_and_a_machines_are_told(tmp_path: Path, counted: Callable[[int], None]) -> None:
    store = Store(tmp_path / "store")
    left(store, kills=2)
    left(store, kills=3, boot="another")
    counted(3)
    by_kernel, by_machine = killed_runs(store)
    assert "was killed at train:lora@0, it seems by the kernel for want of memory" in by_kernel
    assert "was killed at train:lora@0, or the machine went down" in by_machine


def test_runs_that_are_on_or_begin_are_left_alone(tmp_path: Path, counted: Callable[[int], None]) -> None:
    store = Store(tmp_path / "store")
    beginning = left(store)
    (beginning / RUNNING).write_text("")  # it is there before it is held, and written to when it is
    on = left(store)
    with shared(on / RUNNING):
        assert list(killed_runs(store)) == []
    assert (beginning / RUNNING).exists()


def test_a_run_that_was_killed_a_moment_ago_is_told(tmp_path: Path, counted: Callable[[int], None]) -> None:
    store = Store(tmp_path / "store")
    left(store, age=0.0)
    assert "colours-0001 was killed" in next(killed_runs(store))


def test_a_run_that_ends_while_it_is_looked_at_was_not_killed(
    tmp_path: Path, counted: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It removes its file before it lets go of it."""
    store = Store(tmp_path / "store")
    file = left(store) / RUNNING
    taken = occupancy._taken

    def ended(descriptor: int, until: float) -> bool:
        file.unlink()
        return taken(descriptor, until)

    monkeypatch.setattr(occupancy, "_taken", ended)
    assert list(killed_runs(store)) == []
    assert not file.exists()


def test_what_lies_elsewhere_is_not_touched(tmp_path: Path, counted: Callable[[int], None]) -> None:
    outside = left(Store(tmp_path / "other"))
    store = Store(tmp_path / "store")
    store.new_run("colours")
    (store.runs / "colours-0002").symlink_to(outside)
    assert list(killed_runs(store)) == []
    assert (outside / RUNNING).exists()


@pytest.mark.parametrize("noted", ["", "[]", '{"kills": "many"}', "{" * 5000])
def test_a_note_that_is_none_is_no_fault(tmp_path: Path, counted: Callable[[int], None], noted: str) -> None:
    store = Store(tmp_path / "store")
    file = left(store) / RUNNING
    file.write_text(noted)
    os.utime(file, (0, 0))
    assert "colours-0001 was killed" in next(killed_runs(store))


def test_a_run_notes_its_beginning_and_the_next_one_tells(
    workspace: Workspace, customspec: Callable[..., Ended]
) -> None:
    store = Store(workspace.root / ".customspec")
    folder = left(store)
    note_beginning(folder)
    assert set(json.loads((folder / RUNNING).read_text())) == {"boot", "kills"}
    os.utime(folder / RUNNING, (0, 0))
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"))
    assert "the run colours-0001 was killed at train:lora@0: what it finished is kept" in ended.err
    assert "killed" not in customspec("run", workspace.spec("techniques: [zero_shot]")).err
