"""Quantities with their units, three digits long, for people."""

from __future__ import annotations

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL = ("", "k", "M", "G", "T", "P", "E", "Z")


def size(number: float | None) -> str:
    """Bytes, in the largest binary unit of which there is one at least."""
    return "-" if number is None else _scaled(number, 1024, _BINARY)


def operations(number: float | None) -> str:
    """Floating-point operations, in the largest decimal unit of which there is one at least."""
    return "-" if number is None else f"{_scaled(number, 1000, _DECIMAL)}FLOP"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _scaled(number: float, base: int, units: tuple[str, ...]) -> str:
    power = 0
    while abs(number) >= base and power < len(units) - 1:
        number, power = number / base, power + 1
    digits = 0 if power == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f} {units[power]}"
