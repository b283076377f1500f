"""Where to write the points' names so that they do not lie on one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

LETTER, HEIGHT, GAP = 7.2, 13.0, 8.0  # pixels: a letter's mean width, a line's height, from a point to its name

Align = Literal["left", "right", "center"]


@dataclass(frozen=True, slots=True)
class Label:
    """A name at `dx`, `dy` pixels from its point."""

    dx: float
    dy: float
    align: Align


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def common(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


_PLACES = (
    Label(GAP, 0, "left"),
    Label(GAP, -HEIGHT, "left"),
    Label(-GAP, 0, "right"),
    Label(GAP, HEIGHT, "left"),
    Label(-GAP, -HEIGHT, "right"),
    Label(-GAP, HEIGHT, "right"),
    Label(GAP, -2 * HEIGHT, "left"),
    Label(GAP, 2 * HEIGHT, "left"),
    Label(-GAP, -2 * HEIGHT, "right"),
    Label(-GAP, 2 * HEIGHT, "right"),
)


def placed(
    points: Sequence[tuple[float, float]],
    bars: Sequence[tuple[float, float]],
    names: Sequence[str],
    width: float,
    line: Sequence[tuple[float, float]] = (),
) -> list[Label]:
    """For each point, in pixels, the first place that crosses nothing, else that which crosses the least.

    `bars` are each point's interval, from top to bottom; `line` are the corners of a line of steps. A name keeps off
    the points, the bars, the line, the names before it and the picture's sides.
    """
    taken = [
        _Box(x - 4, min(top, y - 4), x + 4, max(bottom, y + 4))
        for (x, y), (top, bottom) in zip(points, bars, strict=True)
    ]
    taken += [_around(*one, *other) for one, other in pairwise(line)]
    found: list[Label] = []
    for (x, y), name in zip(points, names, strict=True):
        boxes = [(_box(x, y, label, name), label) for label in _PLACES]
        costs = [sum(box.common(other) for other in taken) + _outside(box, width) for box, _ in boxes]
        box, label = boxes[costs.index(min(costs))]
        taken.append(box)
        found.append(label)
    return found


def _around(x: float, y: float, to_x: float, to_y: float) -> _Box:
    return _Box(min(x, to_x) - 2, min(y, to_y) - 2, max(x, to_x) + 2, max(y, to_y) + 2)


def _box(x: float, y: float, label: Label, name: str) -> _Box:
    length = LETTER * len(name)
    left = x + label.dx - (length if label.align == "right" else 0)
    return _Box(left, y + label.dy - HEIGHT / 2, left + length, y + label.dy + HEIGHT / 2)


def _outside(box: _Box, width: float) -> float:
    return HEIGHT * (max(-box.left, 0.0) + max(box.right - width, 0.0)) * 2
