"""Memory: the CUDA allocator's peak, and giving back what a step no longer needs."""

from __future__ import annotations

import ctypes
import gc
import sys

import torch


def reset_cuda_peak() -> None:
    """Forget the peak so far."""
    torch.cuda.reset_peak_memory_stats()


def cuda_peak() -> int:
    """Bytes allocated at the peak since `reset_cuda_peak`."""
    return int(torch.cuda.max_memory_allocated())


def release() -> None:
    """Give freed memory back to the system, so that the next step's peak is its own."""
    gc.collect()  # a Trainer and its model refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none and needs none
        if trim is not None:
            trim(0)
