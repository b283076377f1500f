"""The store's health, and its cleaning: what is damaged, what a dead process left, what nobody refers to any more."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from customspec.inputs.checksummed import is_whole
from customspec.inputs.headers import is_kept
from customspec.inputs.paths import resolved
from customspec.inputs.regular import clear_away, read_regular
from customspec.inputs.writing import replace_file
from customspec.store.drafts import STALE, is_abandoned
from customspec.store.objects import DamagedError, verified
from customspec.store.occupancy import is_held
from customspec.store.store import Store, store_key

DAY: Final = 86_400  # seconds
TEXTS: Final = "memo/texts"
KEYS: Final = "keys.json"  # in a run's folder: the keys of all results that the run refers to
RUNNING: Final = ".running"  # held in a run's folder for as long as it is on
PLACES: Final = ("objects", "runs", "tmp", "locks", "headers", "answers", "hub", "memo", "checkpoints", "quarantine")
ENVIRONMENT: Final = ("device", "compute_dtype", "torch", "transformers", "peft")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the store that should not be there, or is damaged. Mending it costs no undamaged result."""

    kind: Literal["damaged object", "damaged checkpoint", "damaged memo", "no folder", "abandoned draft", "leftover"]
    path: Path
    reason: str


def find_faults(store: Store) -> Iterator[Fault]:
    """Every object, checkpoint, header and memo is read and verified, none behind a link within the store; nothing is
    changed. Raises OSError."""
    for name in PLACES:
        place = store.root / name
        if os.path.lexists(place) and not place.is_dir():
            yield Fault("no folder", place, "the store keeps a folder of this name")
    for folder in _own_objects(store):
        try:
            verified(folder, folder.name)
        except DamagedError as damage:
            yield Fault("damaged object", folder, str(damage))
    yield from _damaged_checkpoints(store)
    yield from _damaged_memos(store)
    yield from leftovers(store)


def _damaged_checkpoints(store: Store) -> Iterator[Fault]:
    for step in _own_entries(store.root / "checkpoints", store):
        for folder in _own_entries(step, store):
            with suppress(FileNotFoundError):
                try:
                    verified(folder, step.name)
                except DamagedError as damage:
                    if os.path.lexists(folder):  # else its run has ended meanwhile, and removed it
                        yield Fault("damaged checkpoint", folder, str(damage))


def _damaged_memos(store: Store) -> Iterator[Fault]:
    """What is kept so that it need not be found out again: models' headers, answers of techniques, rates, digests."""
    for folder in _own_entries(store.root / "headers", store):
        if not _is_temporary(folder) and not is_kept(folder):
            yield Fault("damaged memo", folder, "what was kept of a model has changed")
    for place in ("", "answers", "hub", *_below(store, "memo")):
        for path in _own_entries(store.root / place, store):
            if path.suffix == ".json" and not _is_temporary(path) and not _is_memo(path):
                yield Fault("damaged memo", path, "it is not as it was written")


def _is_memo(path: Path) -> bool:
    try:
        return is_whole(path)
    except OSError:
        return not os.path.lexists(path)  # it is being replaced


def leftovers(store: Store) -> Iterator[Fault]:
    """What processes that were killed left behind."""
    for draft in _own_entries(store.root / "tmp", store):
        with suppress(FileNotFoundError):
            if is_abandoned(draft):
                yield Fault("abandoned draft", draft, "the process that made it has ended")
    for place in ("", "headers", "answers", "hub", "locks", *_below(store, "memo"), *_below(store, "runs")):
        for path in _own_entries(store.root / place, store):
            with suppress(FileNotFoundError):
                if _is_temporary(path) and _is_stale(path):
                    yield Fault("leftover", path, "the process that made it has ended")


def mend(store: Store, fault: Fault) -> None:
    """Set aside a damaged object, and what is no folder; remove the rest, which is made again. Raises RefusedError,
    OSError."""
    if fault.kind == "damaged object":
        store.get(fault.path.name)  # verifies once more, since another process may have mended it
    elif fault.kind == "no folder":
        fault.path.rename(fault.path.with_name(f"{fault.path.name}.aside"))
    else:
        clear_away(fault.path)


@dataclass(frozen=True, slots=True)
class Removal:
    """An object, or what was set aside, that a cleaning removes."""

    path: Path
    step: str
    size: int


def unreferred(store: Store, keep_seconds: float, now: float) -> Iterator[Removal]:
    """What is older than so many seconds and is not needed: objects and checkpoints that no run of that time refers to,
    what was set aside, and cached texts of specs.

    Who removes them must hold `store.cleaning()`: a run that begins then waits, and one that is on is a recent run.
    """
    runs = [run for run in _entries(store.runs) if is_held(run / RUNNING) or _is_recent(run, keep_seconds, now)]
    kept = {key for run in runs for key in keys_of(run)}
    for folder in _own_objects(store):
        if folder.name not in kept and not _is_recent(folder, keep_seconds, now):
            yield Removal(folder, _step_of(folder), _size(folder))
    for folder in _own_entries(store.root / "checkpoints", store):
        if folder.name not in kept and not _is_recent(folder, keep_seconds, now):
            yield Removal(folder, "checkpoints", _size(folder))
    for place, what in (("quarantine", "set aside"), (TEXTS, "texts of a spec")):
        for path in _own_entries(store.root / place, store):
            if not _is_recent(path, keep_seconds, now):
                yield Removal(path, what, _size(path))


def remove(removal: Removal, store: Store) -> None:
    """By way of the drafts' folder, so that a process that is killed meanwhile leaves no half of an object."""
    with store.discarding(removal.path) as aside:
        clear_away(aside)


def refer(run: Path, keys: Iterable[str]) -> None:
    """Note in a run's folder that the run refers to these results, beside those that it refers to already.

    Who is about to look them up does so while it holds `store.using()`: no cleaning then comes between. Raises OSError.
    """
    noted = sorted(_noted(run).union(keys))
    replace_file(run / KEYS, (json.dumps(noted, indent=0) + "\n").encode())


def keys_of(run: Path) -> frozenset[str]:
    """The keys of all results that a run refers to: those of its plan, and those that it noted, for instance of a
    learning curve. None for a folder that tells neither."""
    return _planned(run) | _noted(run)


def _noted(run: Path) -> frozenset[str]:
    try:
        return frozenset(map(str, json.loads(read_regular(run / KEYS))))
    except (OSError, ValueError, TypeError, RecursionError):
        return frozenset()


def _planned(run: Path) -> frozenset[str]:
    try:
        plan = json.loads(read_regular(run / "plan.json"))
        machine: Mapping[str, Any] = json.loads(read_regular(run / "environment.json"))
        environment = {name: str(machine[name]) for name in ENVIRONMENT}
        return frozenset(store_key(step["fingerprint"], environment) for step in plan["steps"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return frozenset()


def objects(store: Store) -> list[Path]:
    """The places of all objects, sorted."""
    return sorted(folder for group in _entries(store.root / "objects") for folder in _entries(group))


def _below(store: Store, place: str) -> list[str]:
    return [f"{place}/{folder.name}" for folder in _entries(store.root / place)]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _own_objects(store: Store) -> list[Path]:
    groups = _own_entries(store.root / "objects", store)
    return [folder for group in groups for folder in _own_entries(group, store)]


def _own_entries(folder: Path, store: Store) -> list[Path]:
    """What may be moved or removed: nothing behind a link within the store, which a stranger may have laid there."""
    return _entries(folder) if resolved(folder) == resolved(store.root) / folder.relative_to(store.root) else []


def _is_temporary(path: Path) -> bool:
    name = path.name
    return name.startswith(".tmp-") or name.endswith(".tmp")


def _is_stale(path: Path) -> bool:
    return abs(time.time() - path.lstat().st_mtime) > STALE


def _is_recent(path: Path, seconds: float, now: float) -> bool:
    """Whether it was used in that time; also where its time lies in the future, since a clock has jumped."""
    try:
        newest = max(part.lstat().st_mtime for part in (path, *_entries(path)))
    except FileNotFoundError:
        return True  # another process is at work on it
    return now - newest < seconds


def _step_of(folder: Path) -> str:
    try:
        return str(json.loads(read_regular(folder / "manifest.json"))["value"]["step"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "?"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())
