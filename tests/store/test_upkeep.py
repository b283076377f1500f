"""Health and cleaning of a store: damage is found and mended, and nothing that a recent run refers to is removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from published import Publish

from customspec.errors import RefusedError
from customspec.inputs.remembered import Remembered
from customspec.plan import Plan, make_step
from customspec.store import Store, store_key
from customspec.store.occupancy import shared
from customspec.store.upkeep import (
    DAY,
    ENVIRONMENT,
    RUNNING,
    find_faults,
    leftovers,
    mend,
    objects,
    refer,
    remove,
    unreferred,
)

KEYS = tuple(f"{name}" * 32 for name in ("ab", "cd", "ef"))
MACHINE = dict.fromkeys(ENVIRONMENT, "1")


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    for part in (*path.rglob("*"), path):
        os.utime(part, (then, then), follow_symlinks=False)


def run_of(store: Store, name: str, *settings: int) -> tuple[Path, list[str]]:
    """A run's folder that refers to one step for each setting, and the steps' keys."""
    steps = tuple(make_step(f"data{setting}", "data", {"setting": setting}) for setting in settings)
    plan = Plan(name, "sha256:0", "compare", None, ("accuracy",), (), steps)
    folder = store.new_run(name)
    (folder / "plan.json").write_text(json.dumps(plan.to_json()))
    (folder / "environment.json").write_text(json.dumps({**MACHINE, "python": "3"}))
    return folder, [store_key(step.fingerprint, MACHINE) for step in steps]


def removed(store: Store, days: float = 30) -> set[str]:
    return {removal.path.name for removal in unreferred(store, days * DAY, time.time())}


def test_what_no_recent_run_refers_to_is_removed_and_nothing_else(store: Store, publish: Publish) -> None:
    recent, [first] = run_of(store, "recent", 1)
    old, [second] = run_of(store, "old", 2)
    for key in (first, second, KEYS[0], KEYS[1]):
        publish(store, key)
        age(store.root / "objects" / key[:2] / key, 40)
    publish(store, KEYS[2])
    age(old, 40)
    (store.root / "objects" / KEYS[1][:2] / KEYS[1] / "manifest.json").touch()
    assert removed(store) == {second, KEYS[0]}
    with store.cleaning():
        for removal in list(unreferred(store, 30 * DAY, time.time())):
            assert removal.size > 128 * 1024
            remove(removal, store)
    assert {folder.name for folder in objects(store)} == {first, KEYS[1], KEYS[2]}
    assert all(store.get(key) for key in (first, KEYS[1], KEYS[2]))
    assert list((store.root / "tmp").iterdir()) == []
    assert recent.is_dir()
    assert old.is_dir()


def test_what_a_run_noted_is_kept_beside_what_it_planned(store: Store, publish: Publish) -> None:
    folder, [planned] = run_of(store, "curve", 1)
    refer(folder, [KEYS[0]])
    refer(folder, [KEYS[1]])
    for key in (planned, *KEYS):
        publish(store, key)
    age(store.root / "objects", 40)
    assert removed(store) == {KEYS[2]}
    (folder / "keys.json").write_text("[1")
    assert removed(store) == set(KEYS), "a file that others wrote names nothing"


def test_a_run_that_is_on_is_recent_whatever_the_clock_says(store: Store, publish: Publish) -> None:
    folder, [key] = run_of(store, "long", 1)
    publish(store, key)
    for path in (store.root / "objects", folder):
        age(path, 400)
    with shared(folder / RUNNING):
        age(folder, 400)
        assert removed(store, days=0) == set()
    assert removed(store, days=0) == {key}


def test_what_a_clock_of_the_future_made_is_kept(store: Store, publish: Publish) -> None:
    publish(store, KEYS[0])
    age(store.root / "objects", -400)
    assert removed(store, days=1) == set()


def test_old_checkpoints_and_what_was_set_aside_go_too(store: Store, publish: Publish) -> None:
    _, [key] = run_of(store, "recent", 1)
    for name in (key, KEYS[0]):
        (store.root / "checkpoints" / name / "00000010").mkdir(parents=True)
    (store.root / "quarantine" / "bad").mkdir(parents=True)
    for name in ("checkpoints", "quarantine"):
        age(store.root / name, 40)
    assert removed(store) == {KEYS[0], "bad"}


def test_a_cleaning_waits_for_who_looks_up_and_gives_up(store: Store) -> None:
    with store.using(), pytest.raises(RefusedError, match="in use"), store.cleaning(patience=0.2):
        pass
    with store.cleaning(patience=0):
        pass


def test_who_looks_up_waits_for_a_cleaning(store: Store) -> None:
    code = (
        "import pathlib, sys\nfrom customspec.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).using(): print('in', flush=True)"
    )
    with store.cleaning():
        waiter = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(timeout=1)
    assert waiter.communicate(timeout=120)[0] == "in\n"


def test_damage_is_found_and_mending_sets_it_aside(store: Store, publish: Publish) -> None:
    publish(store, KEYS[0])
    bad = publish(store, KEYS[1]).folder / "notes.txt"
    bad.chmod(0o644)
    bad.write_text("fina\n")
    [fault] = find_faults(store)
    assert (fault.kind, fault.path.name, fault.reason) == ("damaged object", KEYS[1], "notes.txt has changed")
    assert store.has(KEYS[1]), "looking changes nothing"
    mend(store, fault)
    assert list(find_faults(store)) == []
    assert store.get(KEYS[1]) is None
    assert store.get(KEYS[0]) is not None


def test_leftovers_of_dead_processes_are_found_when_they_are_old(store: Store) -> None:
    store.memo("header").put("key", 1)
    for name in (".abc.tmp", "locks/.abc.tmp", "memo/header/.abc.tmp", "hub/tmpabc.tmp"):
        (store.root / name).parent.mkdir(exist_ok=True)
        (store.root / name).write_bytes(b"half")
    (store.root / "headers" / ".tmp-abc").mkdir(parents=True)
    assert list(leftovers(store)) == []
    age(store.root, 1)
    found = list(leftovers(store))
    assert len(found) == 5
    for fault in found:
        mend(store, fault)
    assert list(leftovers(store)) == []
    assert store.memo("header").get("key") == 1


def test_a_folder_that_tells_no_plan_refers_to_nothing_and_harms_nothing(store: Store, publish: Publish) -> None:
    folder = store.new_run("odd")
    (folder / "plan.json").write_text("{")
    publish(store, KEYS[0])
    age(store.root / "objects", 40)
    assert removed(store) == {KEYS[0]}


def test_what_texts_came_to_goes_when_no_spec_asked_for_it(store: Store) -> None:
    folder = store.root / "memo" / "texts"
    files: dict[str, Path] = {}
    for name in ("old", "used", "new"):
        remembered = Remembered(folder, name)
        remembered.put("text", name)
        remembered.save()
        [files[name]] = set(folder.iterdir()) - set(files.values())
    for name in ("old", "used"):
        age(files[name], 40)
    again = Remembered(folder, "used")
    assert again.get("text") == "used"
    again.save()
    assert removed(store) == {files["old"].name}
    for removal in list(unreferred(store, 30 * DAY, time.time())):
        assert removal.size > 0
        remove(removal, store)
    assert {name for name, file in files.items() if file.exists()} == {"used", "new"}
