"""Memory: the CUDA allocator's peak, and giving back what a step no longer needs."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch
from torch import nn

from customspec.errors import MachineError

T = TypeVar("T")

LEAST = 64  # tokens of a batch; below, a pass takes little more than the model itself

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


def within_memory(run: Callable[[int | None], T], model: nn.Module) -> tuple[T, str | None]:
    """What `run` gives with as many tokens in a batch as usual (None), or with half as many whenever memory was short;
    and a note in that case. Raises MachineError when LEAST tokens are too many as well."""
    budget: int | None = None
    while True:
        try:
            return run(budget), f"memory was short: at most {budget} tokens went through at once" if budget else None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # out here nothing holds on to the tensors of the pass that failed
        if budget == LEAST:
            raise MachineError(
                f"not enough memory to evaluate {LEAST} tokens at once; shorter rows, a smaller model or a machine "
                "with more memory would do"
            )
        cpu = next(model.parameters()).device.type == "cpu"
        budget = max(LEAST, budget // 2) if budget else (512 if cpu else 8192)
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


@cache
def _keep_libraries() -> None:
    """What is there before the first step are libraries: to look through them again takes a quarter of a second."""
    gc.freeze()


def release() -> None:
    """Give freed memory back to the system, so that the next step's peak is its own."""
    gc.collect()  # a Trainer and its model refer to each other
    _keep_libraries()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none and needs none
        if trim is not None:
            trim(0)
