"""Memory: the CUDA allocator's peak, and giving back what a step no longer needs."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

from customspec.errors import MachineError

T = TypeVar("T")

log = logging.getLogger("customspec")


_SHORT = (
    "out of memory",
    "DefaultCPUAllocator",
    "can't allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
    "ALLOC_FAILED",
    "could not create a memory",  # oneDNN
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, says that memory was short; on a CPU only its words tell."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORT):
            return True
        error = error.__cause__ or error.__context__
    return False


def shrinking(run: Callable[[int], T], budget: int, least: int) -> tuple[T, int]:
    """What `run` gives, and the budget it gave it with: halved whenever memory was short, down to `least`.

    Raises MachineError when that is too much as well.
    """
    while True:
        try:
            return run(budget), budget
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if budget <= least:
            raise MachineError(
                f"not enough memory to evaluate {budget} tokens at once; shorter rows, a smaller model or a machine "
                "with more memory would do"
            )
        budget = max(least, budget // 2)
        log.warning("memory is short: evaluating again with at most %d tokens at once", budget)
        release()


def reset_cuda_peak(device: str | None = None) -> None:
    """Forget the peak so far; `device` as torch names it, the current one without it."""
    torch.cuda.reset_peak_memory_stats(device)


def cuda_peak(device: str | None = None) -> int:
    """Bytes allocated at the peak since `reset_cuda_peak`."""
    return int(torch.cuda.max_memory_allocated(device))


def cuda_allocated(device: str | None = None) -> int:
    """Bytes allocated now."""
    return int(torch.cuda.memory_allocated(device))


def release() -> None:
    """Give freed memory back to the system, so that the next step's peak is its own."""
    gc.collect()  # a Trainer and its model refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none and needs none
        if trim is not None:
            trim(0)
