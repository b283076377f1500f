"""Folders in which results are made, beside the objects and on their file system; a dead process's are removed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from customspec.inputs.regular import clear_away
from customspec.inputs.writing import private_folder

STALE: Final = 60  # seconds
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def draft(parent: Path, kind: str = "") -> Iterator[Path]:
    """A new folder, named after this process, for as long as the `with` block; dead processes' are removed first. In a
    folder that holds other things, too, drafts are those whose names begin with `kind`."""
    _sweep(private_folder(parent), kind)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}{os.getpid()}@{_processes()}{_boot()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def room(store: Path) -> Iterator[Path]:
    """A folder in a store for what is not yet a result, for as long as the `with` block."""
    with draft(store / "tmp") as folder:
        yield folder


def _sweep(parent: Path, kind: str) -> None:
    for folder in parent.iterdir():
        with suppress(FileNotFoundError):  # its owner, or another process, removed it first
            if is_abandoned(folder, kind):
                clear_away(folder)


def is_abandoned(folder: Path, kind: str = "") -> bool:
    """Whether it is a draft of that kind, of a process that has ended. Raises FileNotFoundError."""
    pid, _, rest = folder.name.removeprefix(kind).partition("@")
    processes, plus, boot = rest.rpartition("-")[0].partition("+")
    known = folder.name.startswith(kind) and pid.isdecimal() and processes == _processes()
    if not known or is_alive(int(pid)):
        return False
    if plus and plus + boot == _boot():
        return True
    # Two machines of one name may share this folder, and then a pid that is dead here may be alive there. A minute
    # spares their short steps, and costs nothing: what a process of an earlier boot left can wait.
    # A clock that was set back makes drafts of the future: they are as old as they are far.
    return abs(time.time() - folder.stat().st_mtime) > STALE


def _processes() -> str:
    """A name for the processes among which a pid is unique: each container has its own, whatever its host name."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux
        space = 0
    return f"{os.uname().nodename}.{space}"


def _boot() -> str:
    """What tells this machine from others of its name, and from itself before it started anew; empty where the system
    does not say."""
    try:
        return f"+{BOOT.read_text().strip()[:8]}"
    except OSError:  # not Linux
        return ""


def is_alive(pid: int) -> bool:
    """Whether there is such a process here, whoever's it is."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
