"""A step's own peak memory, where the system can tell it."""

from __future__ import annotations

import re
from pathlib import Path

PROCESS = Path("/proc/self")


def reset_peak(device: str) -> None:
    """Forget the peak so far: Linux's high-water mark, and the CUDA allocator's."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    try:
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # not Linux, or not allowed: `peak_bytes` then says that it does not know


def peak_bytes(device: str, *, resettable: bool) -> int | None:
    """Bytes at the peak since `reset_peak`; None where it cannot be known for this step alone."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    if not resettable:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", (PROCESS / "status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def can_reset() -> bool:
    """Whether this system lets a process reset its high-water mark."""
    try:
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
