"""What a report shows where a spec or a command asks for it: costs, a learning curve, the ladder."""

from __future__ import annotations

import json
from collections.abc import Callable

from customspec.report import numbers
from pages import Page
from support import Ended, Workspace

Command = Callable[..., Ended]


def test_costs_and_the_curve_that_the_spec_asks_for_are_shown(workspace: Workspace, customspec: Command) -> None:
    cost = "cost: {requests_per_month: 250000, price_per_device_hour: 1.5}"
    spec = workspace.spec("techniques: [{few_shot: {shots: 2}}]", cost, "confidence: 0.999")
    customspec("run", spec, "--curve", "25,50,100")
    run = workspace.root / ".customspec" / "runs" / "colours-0001"
    results = json.loads((run / "results.json").read_text())
    assert customspec("report", run).code == 0
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    for candidate in results["candidates"]:
        cells = next(page.rows(candidate["key"]))
        total = 250_000 / candidate["cost"]["rows_per_second"]
        assert cells[6] == numbers.seconds(candidate["cost"]["latency_seconds"])
        assert cells[11].removesuffix(" *") == numbers.seconds(total)
        assert cells[12] == numbers.price(total / 3600 * 1.5) == numbers.price(candidate["cost"]["price"]["total"])
    assert "250,000 requests a month" in page.words
    assert results["curve"]["answer"] in page.words
    assert any(attributes.get("aria-label") == "accuracy by training rows" for _, attributes in page.elements)
    for point in results["curve"]["points"]:
        assert [numbers.count(point["rows"]), numbers.interval(point)] in list(page.rows(numbers.count(point["rows"])))
    assert "accuracy of few_shot@0, validation rows, 99.9 %" in page.words
    hovered = " ".join(attributes.get("title", "") for _, attributes in page.elements)
    steps = results["curve"]["steps"]
    assert {step["rows"] for step in steps.values()} == {6, 12}
    for id, step in steps.items():
        assert any(row[0] == id for row in page.rows(id)), id
        assert step["fingerprint"] in hovered
        worked_on = 12 if id.startswith("evaluate") else step["rows"]
        assert next(page.rows(id))[3] == str(worked_on)
        assert id.startswith("data") or f"evaluate {step['fingerprint'].removeprefix('sha256:')[:12]}" in hovered


def test_a_ladder_is_shown_as_it_was_climbed(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(
        "techniques: [zero_shot, {few_shot: {shots: 2}}]",
        "goal: {metric: accuracy, at_least: 0.1}",
        "strategy: ladder",
    )
    assert customspec("run", spec).code == 0
    view = customspec("report", spec, "--json").json
    assert [(rung["key"], rung["reached"]) for rung in view["ladder"]] == [("zero_shot@0", True), ("few_shot@0", None)]
    assert customspec("report", spec).code == 0
    page = Page((workspace.root / ".customspec" / "runs" / "colours-0001" / "report.html").read_text(encoding="utf-8"))
    value = numbers.value(view["ladder"][0]["measured"]["value"])
    assert f"zero_shot@0 {value} reaches the goal few_shot@0 skipped" in page.words
