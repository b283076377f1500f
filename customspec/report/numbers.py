"""Figures as a report writes them; what is not known is a dash."""

from __future__ import annotations

from collections.abc import Mapping
from math import log10
from typing import Any

from customspec.report.quantities import size

NONE = "–"  # noqa: RUF001 - a dash in a table, not a minus
MINUS = "−"  # noqa: RUF001 - as wide as the plus, so that columns align

__all__ = [
    "NONE",
    "count",
    "difference",
    "interval",
    "measured_interval",
    "price",
    "probability",
    "seconds",
    "share",
    "size",
    "value",
]


def value(number: float | None) -> str:
    """A metric, three digits after the point; four significant ones where it is large."""
    if number is None:
        return NONE
    return f"{number:z.3f}" if abs(number) < 10 else f"{number:.4g}"


def interval(measured: Mapping[str, Any] | None) -> str:
    """A metric with its interval: `0.856 [0.794, 0.902]`."""
    return NONE if measured is None else f"{value(measured['value'])} {measured_interval(measured)}"


def measured_interval(measured: Mapping[str, Any]) -> str:
    low, high = measured["ci"]
    return f"[{value(low)}, {value(high)}]"


def difference(number: float | None) -> str:
    """With its sign."""
    if number is None:
        return NONE
    text = f"{abs(number):.3f}" if abs(number) < 10 else f"{abs(number):.4g}"
    return f"{MINUS if number < 0 and float(text) else '+'}{text}"


def count(number: float | None) -> str:
    return NONE if number is None else f"{number:,.0f}"


def share(number: float | None) -> str:
    return NONE if number is None else f"{100 * number:.0f} %"


def probability(number: float | None) -> str:
    """Three digits; what is too small for them as its bound."""
    if number is None:
        return NONE
    return "< 0.001" if 0 <= number < 0.001 else f"{number:.3f}"


def price(number: float | None) -> str:
    """In the currency that the spec counts in; two significant digits, since it rests on measured times."""
    if number is None:
        return NONE
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def seconds(number: float | None) -> str:
    """Two or three digits of milliseconds, seconds, minutes, hours or days."""
    if number is None:
        return NONE
    if number == 0:
        return "0 s"
    if number < 0.95:
        return f"{_short(number * 1000)} ms"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if number < limit:
            return f"{_short(number / unit)} {name}"
    return f"{_short(number / 86_400)} d"


def _short(number: float) -> str:
    digits = 0 if number <= 0 else max(0, 1 - int(log10(number))) if number >= 1 else 1
    text = f"{number:.{digits}f}"
    return text.removesuffix(".0")
