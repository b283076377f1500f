"""Stopped anywhere, and continued: the same results, and nothing left over. The long forms are marked `faults`."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import MACHINE, debris, grow_old, points, results, run, stopped_at

from customspec.plan import Plan
from customspec.store import Store, store_key
from customspec.store.upkeep import find_faults, mend, objects, remove, unreferred

LONG = pytest.mark.faults
STRIDES = [7, pytest.param(1, marks=LONG)]


@pytest.fixture
def right(plan: Plan, tmp_path: Path) -> bytes:
    """The results of a run that nothing disturbed."""
    store = Store(tmp_path / "undisturbed")
    run(plan, store)
    return results(plan, store)


@pytest.fixture
def store_at(tmp_path: Path) -> Callable[[int], Store]:
    return lambda number: Store(tmp_path / f"store-{number}")


def continued(plan: Plan, store: Store, right: bytes) -> None:
    grow_old(store.root)
    run(plan, store)
    assert results(plan, store) == right
    assert debris(store) == []


@pytest.mark.parametrize("stride", STRIDES)
def test_a_run_killed_at_any_operation_continues(
    plan: Plan, right: bytes, store_at: Callable[[int], Store], stride: int
) -> None:
    stores = list(points(store_at, lambda store: run(plan, store), stride))
    assert len(stores) > 80 / stride
    for store in stores:
        continued(plan, store, right)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_run_whose_disk_fails_at_any_operation_ends_and_continues(
    plan: Plan, right: bytes, store_at: Callable[[int], Store], stride: int, error: int
) -> None:
    for store in points(store_at, lambda store: run(plan, store), stride, error):
        continued(plan, store, right)


def damaged(plan: Plan, store: Store) -> None:
    """Each object with a changed byte, and a draft of a dead process."""
    run(plan, store)
    for folder in objects(store):
        manifest = folder / "manifest.json"
        manifest.chmod(0o644)
        manifest.write_bytes(manifest.read_bytes().replace(b'"values"', b'"valuez"'))
    shutil.rmtree(store.runs)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_repair_killed_at_any_operation_is_repeated(
    plan: Plan, right: bytes, store_at: Callable[[int], Store], stride: int
) -> None:
    def prepared(number: int) -> Store:
        store = store_at(number)
        damaged(plan, store)
        return store

    def repair(store: Store) -> None:
        for fault in list(find_faults(store)):
            mend(store, fault)

    for store in points(prepared, repair, stride):
        repair(store)
        assert list(find_faults(store)) == []
        shutil.rmtree(store.root / "quarantine")
        continued(plan, store, right)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_cleaning_killed_at_any_operation_leaves_whole_results_or_none(
    plan: Plan, right: bytes, store_at: Callable[[int], Store], stride: int
) -> None:
    def prepared(number: int) -> Store:
        store = store_at(number)
        run(plan, store)
        return store

    def clean(store: Store) -> None:
        with store.cleaning():
            for removal in list(unreferred(store, 0, time.time() + 1)):
                remove(removal, store)

    for store in points(prepared, clean, stride):
        for step in plan.steps:
            key = store_key(step.fingerprint, MACHINE.key())
            assert store.get(key) is not None or not (store.root / "objects" / key[:2] / key).exists()
        continued(plan, store, right)


def test_continuing_is_itself_killed_and_continued(plan: Plan, right: bytes, store_at: Callable[[int], Store]) -> None:
    store, fates = store_at(0), []
    for number in itertools.islice(itertools.cycle((23, 41, 58, 12, 37)), 10):
        fates.append(stopped_at(store, lambda store: run(plan, store), number))
        grow_old(store.root)
    assert -signal.SIGKILL in fates
    continued(plan, store, right)


# --- at the system's own calls, whatever language makes them

CALLS = ("openat", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "unlinkat", "chmod", "fchmodat", "flock")
PROGRAM = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from faults import make_plan, run, debris
from customspec.runners.kinds import data, model
from customspec.plan import Plan
from customspec.store import Store
import json
plan = Plan.from_json(json.loads(pathlib.Path(sys.argv[2]).read_bytes()))
os.access("/customspec-begins-here", os.F_OK)
run(plan, Store(pathlib.Path(sys.argv[3])))
"""


def traced(plan_file: Path, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    tests = str(Path(__file__).parents[1])
    program = [sys.executable, "-c", PROGRAM, tests, str(plan_file), str(root)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        ["strace", "-qq", *options, *program], capture_output=True, text=True, env=environment, check=False
    )


def counted(log: str) -> Iterator[tuple[str, int]]:
    """Each call of the run itself, with its number among the process's calls of its name."""
    numbers = dict.fromkeys(CALLS, 0)
    begun = False
    for line in log.splitlines():
        begun = begun or "customspec-begins-here" in line
        name = line.partition("(")[0]
        if name in numbers:
            numbers[name] += 1
            if begun:
                yield name, numbers[name]


@LONG
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_run_killed_at_any_system_call_continues(plan: Plan, right: bytes, tmp_path: Path) -> None:
    import json

    plan_file, log = tmp_path / "plan.json", tmp_path / "strace.log"
    plan_file.write_text(json.dumps(plan.to_json()))
    trace = f"trace={','.join(CALLS)},access,faccessat,faccessat2"
    for name in ("warm", "counted"):  # the first run leaves no cache behind, yet the machine's are warm
        ended = traced(plan_file, tmp_path / name, "-o", str(log), "-e", trace)
        if ended.returncode != 0:
            pytest.skip(f"strace may not trace here: {ended.stderr[-200:]}")
    calls = list(counted(log.read_text()))
    assert len(calls) > 100
    assert re.search("fsync", log.read_text())
    for name, number in calls:
        store = Store(tmp_path / f"{name}-{number}")
        inject = f"inject={name}:signal=SIGKILL:when={number}"
        ended = traced(plan_file, store.root, "-o", "/dev/null", "-e", f"trace={name}", "-e", inject)
        assert ended.returncode in {0, 137, -signal.SIGKILL}, ended.stderr
        continued(plan, store, right)
        shutil.rmtree(store.root)
