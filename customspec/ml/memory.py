"""The CUDA allocator's peak."""

from __future__ import annotations

import torch


def reset_cuda_peak() -> None:
    """Forget the peak so far."""
    torch.cuda.reset_peak_memory_stats()


def cuda_peak() -> int:
    """Bytes allocated at the peak since `reset_cuda_peak`."""
    return int(torch.cuda.max_memory_allocated())
