"""Searches for faults of the store: a plan that needs no torch, and ways to stop it at any operation on a file."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from customspec.errors import CustomspecError
from customspec.inputs.digests import folder_digest, sha256_file
from customspec.machine import Machine
from customspec.plan import Plan, canonical, make_step
from customspec.registry import Registry
from customspec.runners.folder import begun
from customspec.runners.local import run_plan
from customspec.runners.work import Host
from customspec.store import Store, store_key
from customspec.store.upkeep import find_faults

MACHINE = Machine("cpu", "float32", "3", "2", "5", "0", "a cpu", 1, None)
RULE = {"split_off": True, "seed": 0, "group": None, "stratify": None}
OPERATIONS = frozenset(
    {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "os.listdir", "fcntl.flock"}
)
FAILED, KILLED = 3, -signal.SIGKILL
Act = Callable[[Store], object]


class Silent:
    """A watcher that watches nothing."""

    def started(self, *_: object) -> None: ...
    def progress(self, *_: object) -> None: ...
    def finished(self, *_: object) -> None: ...


def make_plan(folder: Path, steps: int = 2) -> Plan:
    """A model that is used where it lies, and one preparation of data for each further step."""
    folder.mkdir()
    for name, count in (("train", 10), ("test", 3)):
        rows = (json.dumps({"text": f"{name} {number}"}) + "\n" for number in range(count))
        (folder / f"{name}.jsonl").write_text("".join(rows))
    files = {name: folder / f"{name}.jsonl" for name in ("train", "test")}
    splits = {name: folder_digest({"0": sha256_file(path)}) for name, path in files.items()}
    sources = {name: [[path.name, str(path)]] for name, path in files.items()}
    made = [make_step("model", "model", {"kind": "folder", "digest": "sha256:0"})]
    for seed in range(steps - 1):
        params = {"splits": splits, "rule": {**RULE, "seed": seed}}
        made.append(make_step(f"data{seed}", "data", params, sources=sources))
    return Plan("faults", "sha256:0", "compare", None, (), (), tuple(made))


def run(plan: Plan, store: Store) -> None:
    """As `customspec run` does, without what it shows. Raises CustomspecError where a step fails."""
    with begun(plan, store, MACHINE):
        outcome = run_plan(plan, Host(store, Registry({}), MACHINE), Silent())
    failed = [step.reason for step in outcome.steps.values() if step.status == "failed"]
    if failed:
        raise CustomspecError(str(failed))


def results(plan: Plan, store: Store) -> bytes:
    """All that the store holds of the plan, as one text: values, files, their bytes. Raises where something lacks."""
    found = []
    for step in plan.steps:
        result = store.get(store_key(step.fingerprint, MACHINE.key()))
        assert result is not None, step.id
        files = {path.name: sha256_file(path) for path in sorted(result.folder.iterdir())}
        found.append([step.id, dict(result.values), files])
    return canonical(found)


def grow_old(root: Path) -> None:
    """What a process left is swept when it is a minute old."""
    then = time.time() - 120
    for path in (root, *root.rglob("*")) if root.exists() else ():
        os.utime(path, (then, then), follow_symlinks=False)


def debris(store: Store) -> list[str]:
    """What should not be left once all is done."""
    tmp = sorted((store.root / "tmp").iterdir()) if (store.root / "tmp").is_dir() else []
    aside = sorted((store.root / "quarantine").iterdir()) if (store.root / "quarantine").is_dir() else []
    hidden = [path for path in store.root.rglob("*") if path.name.endswith(".tmp")]
    return [str(path) for path in (*tmp, *aside, *hidden, *(fault.path for fault in find_faults(store)))]


def stopped_at(store: Store, act: Act, number: int, error: int | None = None) -> int:
    """How a process ended that was killed at its operation of that number on a file of the store, or whose operation
    failed with `error`: 0 where it did not come so far."""
    pid = os.fork()
    if pid == 0:
        os._exit(_stop(store, act, number, error))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _stop(store: Store, act: Act, number: int, error: int | None) -> int:
    seen, own, root = itertools.count(1), os.getpid(), str(store.root)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        ours = event in OPERATIONS and os.getpid() == own and any(str(one).startswith(root) for one in arguments)
        if (ours or (event == "fcntl.flock")) and next(seen) == number:
            if error is not None:
                raise OSError(error, os.strerror(error), str(arguments[0]))
            os.kill(own, signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        act(store)
    except (CustomspecError, OSError):
        return FAILED
    return 0


def points(store_at: Callable[[int], Store], act: Act, stride: int = 1, error: int | None = None) -> Iterator[Store]:
    """The store after each way to be stopped, until `act` comes to its end untouched."""
    for number in itertools.count(1, stride):
        store = store_at(number)
        ended = stopped_at(store, act, number, error)
        assert ended in {0, KILLED if error is None else FAILED}, (number, ended)
        yield store
        if ended == 0:
            return
