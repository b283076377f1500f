"""Our side of each comparison: a program that prints what it measured as one line of JSON."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.flop_counter import FlopCounterMode


def read(file: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def peak_bytes() -> int:
    """The most memory that this process had, its libraries and the model included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def flops(act: Callable[[], Any]) -> int:
    """Of the matrix products that `act` executes; what attention adds is not counted."""
    with FlopCounterMode(display=False) as counter:
        act()
    return int(counter.get_total_flops())
