"""Quality against cost: which candidates nothing else beats in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec.decide.costs import Spending

REQUESTS = 1000
"""Requests that are counted beside the training, where the spec does not say how many there will be."""


@dataclass(frozen=True, slots=True)
class Point:
    """A candidate's cost and quality."""

    key: str
    cost: float
    quality: float


def total_seconds(cost: Mapping[str, Any], requests: float = REQUESTS) -> float | None:
    """Seconds of the device: search, fit and training, once, and so many requests at the speed of the evaluation."""
    train, speed = cost["train_seconds"], cost["rows_per_second"]
    if train is None or not speed:
        return None
    found = (cost["search_seconds"] or 0.0) + (cost.get("fit_seconds") or 0.0)  # older runs know no fit
    return Spending(found + train, 1 / speed).total(requests)


def frontier(points: Sequence[Point], *, higher_is_better: bool) -> list[Point]:
    """The points that no other equals at a lower cost or beats at the same cost, from cheap to expensive."""
    sign = 1.0 if higher_is_better else -1.0
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.quality)):
        if not found or sign * point.quality > sign * found[-1].quality:
            found.append(point)
    return found
