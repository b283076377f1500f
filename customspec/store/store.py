"""The store itself: the objects, and beside them runs, memos and locks."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from customspec.errors import RefusedError, StepError
from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.regular import clear_away
from customspec.inputs.writing import private_folder
from customspec.plan import Result, canonical, digest
from customspec.store.drafts import draft, is_alive
from customspec.store.objects import FILES, DamagedError, finish, manifest_of, place, verified
from customspec.store.occupancy import alone, shared

PATIENCE: Final = 60.0  # seconds
FORMAT: Final = 1  # raised when an object is laid out otherwise: older objects are then never met

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@=+-]{0,199}")

log = logging.getLogger("customspec")


def store_key(fingerprint: str, environment: Mapping[str, str]) -> str:
    """Under which key a step's result lies, 64 hexadecimal digits: what is done, and in what environment."""
    return digest([FORMAT, fingerprint, dict(environment)]).removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Memo:
    """A cache of small JSON values by key: what is lost or damaged is absent, and made again."""

    folder: Path

    def get(self, key: str) -> Any | None:
        """The value, or None. Raises ValueError for a key that cannot be a file's name."""
        return read_checksummed(self.folder / f"{_name(key)}.json")

    def put(self, key: str, value: object) -> None:
        """Keep a value, where that is possible. Raises TypeError or ValueError for what is not plain JSON."""
        with suppress(OSError):  # a full or read-only disk costs the memo, never the command
            write_checksummed(self.folder / f"{_name(key)}.json", value)


@dataclass(frozen=True, slots=True)
class Draft:
    """A step's result in the making: fill `folder` with files, then `publish`."""

    store: Store
    key: str
    step: str
    folder: Path

    def publish(self, values: Mapping[str, Any]) -> Result:
        """The result as it now lies in the store; when another process was faster, that process's.

        Raises StepError when the values are not plain JSON or the folder holds more than files and folders.
        """
        made, target = self.folder.parent, self.store._object(self.key)
        manifest = finish(made, self.key, self.step, _plain_json(values, self.step))
        while not place(made, target):
            if (existing := self.store.get(self.key)) is not None:
                return existing
        return _result(manifest, target)


@dataclass(frozen=True, slots=True)
class Store:
    """Results, runs and memos under one folder, which the first write creates for this user alone."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.root.absolute())  # a plugin may change the working directory

    @property
    def runs(self) -> Path:
        """The folder of all runs; it may not be there yet."""
        return self.root / "runs"

    def new_run(self, name: str) -> Path:
        """A new, empty folder `runs/NAME-0001`, of the next free number, this caller's alone. Raises OSError."""
        numbered = re.compile(re.escape(_name(name)) + "-([0-9]{4,})")
        runs = private_folder(self.runs)
        taken = (int(match[1]) for path in runs.iterdir() if (match := numbered.fullmatch(path.name)))
        free = itertools.count(max(taken, default=0) + 1)
        return next(folder for number in free if _is_made(folder := runs / f"{name}-{number:04d}"))

    def memo(self, kind: str) -> Memo:
        """The memos of one kind."""
        return Memo(self.root / "memo" / _name(kind))

    def has(self, key: str) -> bool:
        """Whether there is an object with a whole manifest; its files are not read."""
        return manifest_of(self._object(key), key) is not None

    def get(self, key: str) -> Result | None:
        """The result, every file of it verified, or None. A damaged object is set aside, with a warning.

        Raises RefusedError when it cannot be set aside, and OSError when the disk cannot be read for other reasons.
        """
        folder = self._object(key)
        seen = _inode(folder)
        if seen is None:
            return None
        try:
            return _result(verified(folder, key), folder)
        except DamagedError as damage:
            if _inode(folder) == seen:  # else another process has set it aside, and perhaps made it anew
                self._set_aside(folder, damage)
            return None

    @contextmanager
    def publishing(self, key: str, step: str) -> Iterator[Draft]:
        """A draft to fill and to publish in the `with` block; left unpublished, for whatever reason, it is removed."""
        with draft(self.root / "tmp") as made:
            yield Draft(self, _name(key), step, private_folder(made / FILES))

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold a key alone among all processes and threads on this store; waits for it, and says so once."""
        from filelock import FileLock, Timeout

        folder = private_folder(self.root / "locks")
        lock, holder = FileLock(folder / f"{_name(key)}.lock"), folder / f"{key}.holder"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("waiting for %s, which is at the same step", _described(read_checksummed(holder)))
            lock.acquire()
        try:
            with suppress(OSError):  # the file only informs others who wait
                write_checksummed(holder, {"pid": os.getpid(), "host": os.uname().nodename, "since": time.time()})
            yield
        finally:
            clear_away(holder)  # whatever has its name
            lock.release()

    @contextmanager
    def using(self) -> Iterator[None]:
        """For as long as results are used that must stay: no cleaning begins meanwhile, and one that is on is waited
        for."""
        with shared(self._cleaning):
            yield

    @contextmanager
    def cleaning(self, patience: float = PATIENCE) -> Iterator[None]:
        """For as long as results are removed: none is looked up meanwhile. Raises RefusedError when the store stays in
        use."""
        with alone(self._cleaning, patience) as free:
            if not free:
                raise RefusedError(f"the store {self.root} is in use; try again when what uses it has ended")
            yield

    @contextmanager
    def discarding(self, folder: Path) -> Iterator[Path]:
        """The folder, out of its place and at once; with the `with` block it is gone."""
        with draft(self.root / "tmp") as made:
            folder.rename(made / folder.name)
            yield made / folder.name

    @property
    def _cleaning(self) -> Path:
        return self.root / "locks" / "cleaning"

    def _object(self, key: str) -> Path:
        return self.root / "objects" / _name(key)[:2] / key

    def _set_aside(self, folder: Path, damage: DamagedError) -> None:
        aside = self.root / "quarantine" / f"{folder.name}-{secrets.token_hex(4)}"
        try:
            private_folder(aside.parent)
            folder.rename(aside)
        except FileNotFoundError:
            return  # another process has set it aside
        except OSError as error:
            raise RefusedError(f"{folder} is damaged ({damage}) and cannot be set aside: {error}") from error
        log.warning("a stored result is damaged (%s): it is set aside in %s, to be made again", damage, aside)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot name a file of the store")
    return text


def _result(manifest: Mapping[str, Any], folder: Path) -> Result:
    return Result(manifest["step"], manifest["key"], manifest["values"], folder / FILES)


def _plain_json(values: Mapping[str, Any], step: str) -> Any:
    """The values as they will be read again, so that a fresh result and a stored one are equal."""
    try:
        return json.loads(canonical(dict(values)))
    except (TypeError, ValueError) as error:
        raise StepError(f"step {step}: its values are not plain JSON: {error}") from error


def _is_made(folder: Path) -> bool:
    """Whether the folder is new, and ours: mkdir decides a race."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _described(holder: Any) -> str:
    if not isinstance(holder, dict) or not {"pid", "host"} <= holder.keys():
        return "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.get("since", 0)))
    holding = f"process {holder['pid']} on {holder['host']} (since {since})"
    gone = holder["host"] == os.uname().nodename and not is_alive(holder["pid"])
    return f"a process that {holding} started and that outlives it" if gone else holding
