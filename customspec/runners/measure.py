"""A step's own peak memory, where the system can tell it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

PROCESS = Path("/proc/self")


def measuring(device: str, torch_device: str | None = None) -> Callable[[], int | None]:
    """Forget the peak so far; the function returned gives the peak since then in bytes, or None where it is unknown.

    On CUDA it is the allocator's peak on `torch_device`; elsewhere the resident memory of the process, which Linux lets
    it reset.
    """
    from customspec.ml.memory import cuda_peak, release, reset_cuda_peak

    release()
    if device == "cuda":
        reset_cuda_peak(torch_device)
        return lambda: cuda_peak(torch_device)
    if device != "cpu":
        return lambda: None  # another device's memory is not the process's
    try:
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return lambda: None  # not Linux, or not allowed: a peak of other steps would be counted
    return lambda: _status("VmHWM")


def gaining(device: str, torch_device: str | None = None) -> Callable[[], int | None]:
    """As `measuring`, but without what is in memory now: the bytes gained since."""
    from customspec.ml.memory import cuda_allocated

    peak = measuring(device, torch_device)
    before = cuda_allocated(torch_device) if device == "cuda" else resident()

    def gained() -> int | None:
        most = peak()
        return None if most is None or before is None else max(0, most - before)

    return gained


def resident() -> int | None:
    """Bytes of this process that are in memory now; None where the system does not tell."""
    return _status("VmRSS")


def _status(name: str) -> int | None:
    try:
        text = (PROCESS / "status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
