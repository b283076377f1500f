"""Digests of files and folders; those of large files are remembered."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from customspec.inputs.checksummed import read_checksummed, write_checksummed
from customspec.inputs.regular import is_hollow
from customspec.plan import digest

LARGE: Final = 64 * 2**10  # bytes; a smaller file is hashed faster than its memo is read
SETTLED: Final = 2 * 10**9  # nanoseconds; the coarsest file system's clock ticks every two seconds


def sha256_file(path: Path) -> str:
    """The digest of a file's bytes, as `sha256:…`. Raises OSError when the file cannot be read."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def has_digest(path: Path, digest: object) -> bool:
    """Whether a file's bytes have the digest. What is holes for the most part is none of ours, and is not read."""
    return not is_hollow(path) and sha256_file(path) == digest


def folder_digest(digests: Mapping[str, str]) -> str:
    """One digest of a folder, from its files' names and digests, whatever their order."""
    return digest(sorted(digests.items()))


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests of files; those of large files are remembered in one file under `folder`, or not at all for None.

    A file is known again by its device, inode, size and times. `clock` gives the time in nanoseconds since 1970.
    """

    folder: Path | None
    clock: Callable[[], int] = time.time_ns

    def sha256(self, path: Path) -> str:
        """The digest of a file's bytes, as `sha256:…`. Raises OSError when the file cannot be read."""
        seen = path.stat()
        if self.folder is None or seen.st_size < LARGE:
            return sha256_file(path)
        entry = self._known().get(_place(seen))
        if isinstance(entry, dict) and entry.get("identity") == _identity(seen) and "sha256" in entry:
            return str(entry["sha256"])
        # A file that was just written may be written again within one tick of its clock: its times would not tell.
        settled = self.clock() - max(seen.st_mtime_ns, seen.st_ctime_ns) >= SETTLED
        found = sha256_file(path)
        if settled and _identity(path.stat()) == _identity(seen):
            self._remember(seen, found)
        return found

    def _known(self) -> Mapping[str, Any]:
        known = None if self.folder is None else read_checksummed(self.folder / "digests.json")
        return known if isinstance(known, dict) else {}

    def _remember(self, seen: os.stat_result, found: str) -> None:
        if self.folder is None:
            return
        entry = {"identity": _identity(seen), "sha256": found}
        with suppress(OSError):  # what cannot be remembered is computed again
            write_checksummed(self.folder / "digests.json", {**self._known(), _place(seen): entry})


def path_digest(path: Path, digests: Digests) -> str:
    """The digest of a file's bytes, or of all files in a folder."""
    if path.is_file():
        return digests.sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return folder_digest({file.relative_to(path).as_posix(): digests.sha256(file) for file in files})


def _place(seen: os.stat_result) -> str:
    return f"{seen.st_dev}:{seen.st_ino}"


def _identity(seen: os.stat_result) -> list[int]:
    return [seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns]
