"""Pictures: times stand below quality against cost, however near the costs lie, and each mark says what it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from customspec.report.numbers import seconds
from customspec.report.pictures import quality_and_cost
from customspec.report.svg import drawn
from customspec.report.trainings import learning_curve

pytest.importorskip("altair")


def ticks(*costs: float) -> list[float]:
    """The times that stand below a picture of candidates with these costs."""
    measured = {"accuracy": {"value": 0.5, "ci": [0.4, 0.6], "n": 80}}
    always = {"family": "tuning", "seed": 0, "chosen": False, "frontier": True, "metrics": {"test": measured}}
    trace = [{"split": "test", "fingerprint": "sha256:0", "rows": 80, "step": "evaluate"}]
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


def test_a_learning_curve_tells_where_its_points_and_its_line_come_from() -> None:
    pytest.importorskip("vl_convert")
    points = [{"rows": rows, "value": rows / 40, "ci": [0.0, 1.0], "n": 30} for rows in (6, 12, 24)]
    law = {"limit": 1.0, "factor": 2.0, "exponent": 0.5}
    curve = {"candidate": "lora@0", "metric": "accuracy", "split": "validation", "points": points, "law": law}
    at_twice = {"rows": 48, "value": 0.7, "ci": [0.5, 0.9]}
    source = {"candidate": "lora@0", "seed": 0}
    steps = [
        {**source, "kind": kind, "fingerprint": f"sha256:{kind:_<12}{rows}", "training_rows": rows, "step": kind}
        for kind in ("train", "evaluate")
        for rows in (6, 12)
    ]
    whole = [{"kind": "train", "split": None, "rows": 24, "fingerprint": "sha256:whole"}]
    view = {
        "curve": {**curve, "at_twice": at_twice},
        "steps": steps,
        "measure": {},
        "candidates": [{"key": "lora@0", "seed": 0, "trace": whole}],
    }
    chart = learning_curve(view, 400, 200)
    assert chart is not None
    told = set(re.findall("<title>([^<]*)</title>", drawn(chart, "accuracy", "learning")))
    own = "lora@0, seed 0; {} training rows; steps: train train_______; evaluate evaluate____"
    measured = "{0} training rows: accuracy {1:.3f} [0.000, 1.000] on 30 validation rows; {2}"
    assert told == {
        "the law through what lora@0 reached by its training rows",
        *(measured.format(rows, rows / 40, own.format(rows)) for rows in (6, 12)),
        measured.format(24, 0.6, "lora@0, seed 0; steps: train, 24 rows: whole"),
        "48 training rows: accuracy 0.700 [0.500, 0.900] after the law; lora@0, seed 0",
    }
