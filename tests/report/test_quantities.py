"""Quantities for people: three digits and a unit."""

from __future__ import annotations

import pytest

from customspec.report.quantities import duration, operations, size


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (10 * 2**20, "10.0 MiB"),
        (513 * 2**20, "513 MiB"),
        (3.5 * 2**30, "3.50 GiB"),
        (9 * 2**60, "9216 PiB"),
    ],
)
def test_size(number: float | None, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(None, "-"), (7, "7 FLOP"), (2_870_000_000_000, "2.87 TFLOP"), (123.4e15, "123 PFLOP")]
)
def test_operations(number: float | None, shown: str) -> None:
    assert operations(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "-"), (0.31, "0.3 s"), (89, "89.0 s"), (90, "2 min"), (7200, "2.0 h")]
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
