"""Numbers as the answer says them."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, log10

from customspec.spec import Goal


def bound(goal: Goal) -> str:
    """`at least 0.8`."""
    return f"{'at least' if goal.at_least is not None else 'at most'} {goal.threshold:g}"


def at_least(value: float) -> str:
    """A lower bound, never rounded up: 0.7996 does not show 0.8."""
    return f"at least {floor(value * 1000 + 1e-9) / 1000:.3f}"


def at_most(value: float) -> str:
    """An upper bound, never rounded down."""
    return f"at most {ceil(value * 1000 - 1e-9) / 1000:.3f}"


def decimals(value: float | None) -> str:
    """Three decimals, or a dash for no value."""
    return "-" if value is None else f"{value:z.3f}"


def percent(confidence: float) -> str:
    """Four digits of it, but as many as a level below 1 needs to stay below 100 %."""
    digits = next((digits for digits in range(4, 17) if float(f"{100 * confidence:.{digits}g}") < 100), 4)
    return f"{100 * confidence:.{digits}g} %"


def short_run(shortened: Mapping[str, int] | None) -> str | None:
    """That a run left out rows or steps, where it did; `shortened` is a plan's or a results document's."""
    if not shortened:
        return None
    allowed = {"limit": "rows of each split", "max_steps": "steps of each training"}
    parts = [f"at most {shortened[name]:,} {what}" for name, what in allowed.items() if name in shortened]
    return f"a short run, to try the spec: {' and '.join(parts)}; its numbers say little"


def amount(rows: int) -> str:
    """A number of rows that rests on an estimate: two digits of it, rounded up."""
    if rows < 100:
        return f"about {rows}"
    step = 10 ** (floor(log10(rows)) - 1)
    return f"about {ceil(rows / step) * step:,}"
