"""Runs that were killed: they could say nothing, so the next run in their store does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from customspec.inputs.paths import resolved
from customspec.inputs.regular import read_regular
from customspec.store import Store
from customspec.store.occupancy import abandoned
from customspec.store.upkeep import RUNNING

LOG: Final = "log.txt"
SETTLED: Final = 5.0  # seconds; a run that begins has its file before it holds it, and holds it before it writes there
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
COUNTERS: Final = Path("/proc/vmstat")


def note_beginning(folder: Path) -> None:
    """Note in a run's folder how many processes the kernel has ended so far for want of memory."""
    (folder / RUNNING).write_text(json.dumps({"boot": _boot(), "kills": _kills()}), encoding="utf-8")


def killed_runs(store: Store) -> Iterator[str]:
    """A sentence of each run that ended without a word; each is told once."""
    runs = resolved(store.runs)
    for file in sorted(store.runs.glob(f"*/{RUNNING}")):
        own = not file.is_symlink() and resolved(file.parent) == runs / file.parent.name
        if not own:
            continue
        with abandoned(file) as is_abandoned:
            told = _sentence(file.parent, _noted(file)) if is_abandoned and _has_begun(file) else None
            if told is not None:
                file.unlink()
        if told is not None:
            yield told


def _has_begun(file: Path) -> bool:
    """Whether the run came so far as to hold its file."""
    found = file.stat()
    return found.st_size > 0 or abs(time.time() - found.st_mtime) > SETTLED


def _sentence(folder: Path, noted: Any) -> str:
    step = _last_step(folder / LOG)
    at = f" at {step}" if step else ""
    return f"the run {folder.name} was killed{at}{_by(noted)}: what it finished is kept, this run goes on from there"


def _by(noted: Any) -> str:
    kills = _kills()
    if not isinstance(noted, dict) or noted.get("boot") != _boot():
        return ", or the machine went down"
    if type(noted.get("kills")) is int and kills is not None and kills > noted["kills"]:
        return ", it seems by the kernel for want of memory (a smaller per_device_train_batch_size needs less)"
    return ""


def _noted(file: Path) -> Any:
    try:
        return json.loads(read_regular(file))
    except (OSError, ValueError, RecursionError):
        return None


def _last_step(log: Path) -> str | None:
    """The step that was at work, by the log's last lines."""
    try:
        lines = read_regular(log).decode(errors="replace").splitlines()
    except OSError:
        return None
    begun = [found[1] for line in lines if (found := re.search(r" INFO (\S+): started$", line))]
    return begun[-1] if begun else None


def _boot() -> str | None:
    with suppress(OSError):
        return BOOT.read_text().strip()
    return None


def _kills() -> int | None:
    """How many processes the kernel has ended for want of memory since it began; None where it does not tell."""
    with suppress(OSError):
        found = re.search(r"^oom_kill (\d+)$", COUNTERS.read_text(), re.MULTILINE)
        return int(found[1]) if found else None
    return None
