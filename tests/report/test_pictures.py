"""The axis of costs: a reader finds times on it, however near or far the candidates' costs lie."""

from __future__ import annotations

from typing import Any

import pytest

from customspec.report.numbers import seconds
from customspec.report.pictures import quality_and_cost

pytest.importorskip("altair")


def ticks(*costs: float) -> list[float]:
    """The times that stand below a picture of candidates with these costs."""
    measured = {"accuracy": {"value": 0.5, "ci": [0.4, 0.6], "n": 80}}
    always = {"family": "tuning", "seed": 0, "chosen": False, "frontier": True, "metrics": {"test": measured}}
    trace = [{"split": "test", "fingerprint": "sha256:0"}]
    candidates = [{"key": f"lora@{cost}", "total_seconds": cost, "trace": trace, **always} for cost in costs]
    asked = {"split": "test", "metric": "accuracy", "requests": 1000, "goal": None, "measure": {}}
    chart: Any = quality_and_cost({"candidates": candidates, **asked}, 600, 300)
    return list(chart["layer"][-1]["encoding"]["x"]["axis"]["values"])


@pytest.mark.parametrize("least", [0.004, 0.3, 17, 68, 5000, 1e5, 3e6])
@pytest.mark.parametrize("spread", [1, 1.4, 3, 40, 1e4])
def test_three_to_seven_times_stand_below_the_costs(least: float, spread: float) -> None:
    found = ticks(least, least * spread)
    assert 3 <= len(found) <= 7
    assert least / 1.35 <= min(found) < max(found) <= least * spread * 1.35
    assert len({seconds(time) for time in found}) == len(found)
