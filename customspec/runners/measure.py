"""A step's own peak memory, where the system can tell it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

PROCESS = Path("/proc/self")


def measuring(device: str) -> Callable[[], int | None]:
    """Forget the peak so far; the function returned gives the peak since then in bytes, or None where it is unknown.

    On CUDA it is the allocator's peak; elsewhere the resident memory of the process, which Linux lets it reset.
    """
    from customspec.ml.memory import cuda_peak, release, reset_cuda_peak

    release()
    if device == "cuda":
        reset_cuda_peak()
        return cuda_peak
    try:
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return lambda: None  # not Linux, or not allowed: a peak of other steps would be counted
    return _resident_peak


def _resident_peak() -> int | None:
    found = re.search(r"^VmHWM:\s+(\d+) kB", (PROCESS / "status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
