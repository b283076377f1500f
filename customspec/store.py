"""The store: results by content. A result is published whole or not at all, and verified whenever it is read.

    objects/<2 hex>/<key>/manifest.json, files/…    read-only; the manifest is sealed and holds every file's sha256
    runs/<name>-0001/    memo/<kind>/<key>.json    locks/    tmp/    quarantine/
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from customspec.errors import RefusedError, StepError
from customspec.inputs.digests import private_folder, read_sealed, sha256_file, unseal, write_sealed
from customspec.plan import Result, canonical, digest

FORMAT: Final = 1  # raised when an object is laid out otherwise: older objects are then never met
FILES: Final = "files"
MANIFEST: Final = "manifest.json"
STALE: Final = 60  # seconds

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@=+-]{0,199}")
_OCCUPIED: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})
_DAMAGE: Final = frozenset({errno.EIO, errno.EISDIR, errno.ENOENT, errno.ENOTDIR})  # not: too many open files

log = logging.getLogger("customspec")


def store_key(fingerprint: str, environment: Mapping[str, str]) -> str:
    """Under which key the result of a step lies, 64 hexadecimal digits: what is done, and in what environment."""
    return digest([FORMAT, fingerprint, environment]).removeprefix("sha256:")


class _DamagedError(Exception):
    """An object is not as it was published; the message names the file."""


@dataclass(frozen=True, slots=True)
class Memo:
    """Small JSON values by key, to save work: what is lost or damaged is absent."""

    folder: Path

    def get(self, key: str) -> Any | None:
        """The value, or None. Raises ValueError for a key that cannot be a file's name."""
        return read_sealed(self.folder / f"{_name(key)}.json")

    def put(self, key: str, value: object) -> None:
        """Keep a value, where that is possible. Raises TypeError or ValueError for what is not plain JSON."""
        with suppress(OSError):  # a full or read-only disk costs the memo, never the command
            write_sealed(self.folder / f"{_name(key)}.json", value)


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
        manifest = {
            "key": self.key,
            "step": self.step,
            "values": _plain_json(values, self.step),
            "files": _settle(self.folder, self.step),
        }
        path = self.folder.parent / MANIFEST
        write_sealed(path, manifest)
        path.chmod(0o444)
        _sync(path)
        _sync(self.folder.parent)
        return self.store._adopt(self.folder.parent, manifest)


@dataclass(frozen=True, slots=True)
class Store:
    """Results, runs and memos under one folder, which the first write creates for this user alone."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.root.absolute())  # a plugin may change the working directory

    @classmethod
    def beside(cls, spec: Path) -> Store:
        """The default store of a spec: `.customspec` in the spec's folder."""
        return cls(spec.parent / ".customspec")

    @property
    def runs(self) -> Path:
        """The folder of all runs; it may not be there yet."""
        return self.root / "runs"

    def new_run(self, name: str) -> Path:
        """A new, empty folder `runs/NAME-0001`, of the next free number, this caller's alone. Raises OSError."""
        numbered = re.compile(re.escape(_name(name)) + "-([0-9]{4,})")
        runs = private_folder(self.runs)
        taken = [int(match[1]) for path in runs.iterdir() if (match := numbered.fullmatch(path.name))]
        for number in itertools.count(max(taken, default=0) + 1):
            with suppress(FileExistsError):  # another process was faster
                folder = runs / f"{name}-{number:04d}"
                folder.mkdir(mode=0o700)
                break
        return folder

    def memo(self, kind: str) -> Memo:
        """The memos of one kind."""
        return Memo(self.root / "memo" / _name(kind))

    def has(self, key: str) -> bool:
        """Whether there is an object with a whole manifest; its files are not read."""
        manifest = read_sealed(self._object(key) / MANIFEST)
        return manifest is not None and manifest["key"] == key

    def get(self, key: str) -> Result | None:
        """The result, every file of it verified, or None. A damaged object is set aside, with a warning.

        Raises RefusedError when it cannot be set aside, and OSError when the disk cannot be read for other reasons.
        """
        folder = self._object(key)
        seen = _inode(folder)
        if seen is None:
            return None
        try:
            return _result(_verified(folder, key), folder)
        except _DamagedError as damage:
            if _inode(folder) == seen:  # else another process has set it aside, and perhaps made it anew
                self._set_aside(folder, damage)
            return None

    @contextmanager
    def publishing(self, key: str, step: str) -> Iterator[Draft]:
        """A draft to fill and to publish in the `with` block; left unpublished, for whatever reason, it is removed."""
        drafts = private_folder(self.root / "tmp")
        _sweep(drafts)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}@{_processes()}-", dir=drafts))
        try:
            yield Draft(self, _name(key), step, private_folder(folder / FILES))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold a key alone among all processes and threads on this store; waits for it, and says so once."""
        folder = private_folder(self.root / "locks")
        lock, holder = FileLock(folder / f"{_name(key)}.lock"), folder / f"{key}.holder"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("waiting for %s, which is at the same step", _described(read_sealed(holder)))
            lock.acquire()
        try:
            write_sealed(holder, {"pid": os.getpid(), "host": os.uname().nodename})
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def _object(self, key: str) -> Path:
        return self.root / "objects" / _name(key)[:2] / key

    def _adopt(self, draft: Path, manifest: Mapping[str, Any]) -> Result:
        target = self._object(manifest["key"])
        private_folder(target.parent)
        while not _renamed(draft, target):
            if (existing := self.get(manifest["key"])) is not None:
                return existing
        _sync(target.parent)
        _sync(target.parent.parent)  # `objects/<2 hex>` may be new as well
        return _result(manifest, target)

    def _set_aside(self, folder: Path, damage: _DamagedError) -> None:
        place = self.root / "quarantine" / f"{folder.name}-{secrets.token_hex(4)}"
        try:
            private_folder(place.parent)
            folder.rename(place)
        except FileNotFoundError:
            return  # another process has set it aside
        except OSError as error:
            raise RefusedError(f"{folder} is damaged ({damage}) and cannot be set aside: {error}") from error
        log.warning("a stored result was damaged (%s); it is set aside in %s and will be made again", damage, place)


def link_tree(source: Path, target: Path) -> None:
    """Put a published object's files into a folder, by hard link or else by copy; what has their names is replaced.

    The files are read-only, and as links they are the object's own: change a copy. Raises OSError.
    """
    private_folder(target)
    for path in _files(source):
        place = target / path.relative_to(source)
        private_folder(place.parent)
        place.unlink(missing_ok=True)
        try:
            place.hardlink_to(path)
        except OSError:  # another file system, or one without links
            shutil.copy(path, place)


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


def _settle(folder: Path, step: str) -> list[dict[str, Any]]:
    """Make a folder's files read-only and put all of it on the disk; returns its part of the manifest."""
    files = _files(folder)
    for path in files:
        if not _is_regular(path):
            raise StepError(f"step {step}: {path.relative_to(folder)} is not a regular file")
        path.chmod(0o444)
        _sync(path)
    for parent in {folder, *(path for path in folder.rglob("*") if path.is_dir())}:
        _sync(parent)
    return [_entry(path, folder) for path in files]


def _files(folder: Path) -> list[Path]:
    """All that is in a folder and its subfolders and is no folder itself, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _entry(path: Path, root: Path) -> dict[str, Any]:
    return {"path": path.relative_to(root).as_posix(), "size": path.stat().st_size, "sha256": sha256_file(path)}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _renamed(draft: Path, target: Path) -> bool:
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        return False
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _verified(folder: Path, key: str) -> Mapping[str, Any]:
    """The manifest of an object that is as it was published. Raises _DamagedError, or OSError for other reasons."""
    try:
        manifest: Mapping[str, Any] | None = unseal((folder / MANIFEST).read_bytes())
        if manifest is None or manifest["key"] != key:
            raise _DamagedError(f"{MANIFEST} has changed")
        _verify_files(folder / FILES, manifest["files"])
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise
        raise _DamagedError(str(error)) from error
    return manifest


def _verify_files(folder: Path, expected: Sequence[Mapping[str, Any]]) -> None:
    if not folder.is_dir():
        raise _DamagedError(f"{FILES} is missing")
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for entry in expected:
        path = found.pop(entry["path"], None)
        if path is None:
            raise _DamagedError(f"{entry['path']} is missing")
        if not _is_regular(path) or _entry(path, folder) != entry:
            raise _DamagedError(f"{entry['path']} has changed")
    if found:  # a loader may prefer it to what belongs there
        raise _DamagedError(f"{min(found)} does not belong there")


def _described(holder: Mapping[str, Any] | None) -> str:
    return f"process {holder['pid']} on {holder['host']}" if holder else "another process"


def _processes() -> str:
    """Names the processes among which a pid means something: a container has its own, under its host's name or not."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux
        space = 0
    return f"{os.uname().nodename}.{space}"


def _sweep(drafts: Path) -> None:
    for folder in drafts.iterdir():
        with suppress(FileNotFoundError):  # its owner, or another sweeper, was faster
            if _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(draft: Path) -> bool:
    """Whether the process that made a draft has ended."""
    pid, _, rest = draft.name.partition("@")
    if not pid.isdecimal() or rest.rpartition("-")[0] != _processes() or _is_alive(int(pid)):
        return False
    # Two machines of one name may share this folder, and then a pid that is dead here may be alive there. A minute
    # spares their short steps, and costs nothing: a dead process's draft can wait.
    return time.time() - draft.stat().st_mtime > STALE


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
