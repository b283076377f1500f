"""The pictures of quality against cost and of the rows' scores, as Vega-Lite charts made with altair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log
from typing import Any

from customspec.report.labels import placed
from customspec.report.numbers import interval, seconds
from customspec.report.origins import split_origin
from customspec.report.svg import ACCENT, GOAL, INK, MUTED, PAPER, finished, upright

View = Mapping[str, Any]
Chart = dict[str, Any]
TICKS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200),
    *(18000, 36000, *(days * 86400 for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))),
)


def quality_and_cost(view: View, width: int, height: int) -> Chart | None:
    """Each candidate's quality with its interval, over the seconds that training and many requests take."""
    import altair as alt

    points = [point for candidate in view["candidates"] if (point := _point(candidate, view)) is not None]
    if not points:
        return None
    low, high = _reach([end for point in points for end in (point["low"], point["high"])], view)
    costs = [point["cost"] for point in points]
    across, up = _costs(min(costs), max(costs)), alt.Scale(domain=[low, high], nice=False, zero=False)
    _name(points, across, (low, high), width, height)
    x = alt.X("cost:Q", scale=alt.Scale(type="log", domain=list(across), nice=False), axis=_seconds_axis(across))
    y = upright("value:Q", up)
    base = alt.Chart(alt.Data(values=points)).encode(x=x, description="told:N")
    color = alt.Color("color:N", scale=None)
    layers = [
        *_goal(view, up),
        _frontier_line(points, x, y),
        base.mark_rule(strokeWidth=1.5).encode(
            y=upright("low:Q", up), y2="high:Q", color=alt.Color("bar:N", scale=None)
        ),
        base.mark_point(filled=True, size=120, opacity=1, stroke=PAPER, strokeWidth=1.5).encode(
            y=y, color=color, shape=alt.Shape("shape:N", scale=None)
        ),
        *(_text(base, y, color, point) for point in points),
    ]
    return finished(alt.layer(*layers), width, height)


def histogram(found: View, origin: str, width: int, height: int) -> Chart:
    """How many rows have which score, and where the scores come from."""
    import altair as alt

    step = (found["high"] - found["low"]) / len(found["bins"])
    bars = [
        {
            "from": found["low"] + place * step,
            "to": found["low"] + (place + 1) * step,
            "rows": rows,
            "none": 0,
            "told": f"{rows} rows from {found['low'] + place * step:.3g} to {found['low'] + (place + 1) * step:.3g}; "
            f"{origin}",
        }
        for place, rows in enumerate(found["bins"])
    ]
    chart = (
        alt.Chart(alt.Data(values=bars))
        .mark_bar(color=MUTED, stroke=PAPER)
        .encode(
            x=alt.X("from:Q", axis=alt.Axis(title=None, tickCount=5, grid=False)),
            x2="to:Q",
            y=alt.Y("rows:Q", axis=alt.Axis(title=None, tickCount=3, tickMinStep=1)),
            y2="none:Q",
            description="told:N",
        )
    )
    return finished(chart, width, height)


def _point(candidate: View, view: View) -> dict[str, Any] | None:
    measured = (candidate["metrics"][view["split"]] or {}).get(view["metric"])
    cost = candidate["total_seconds"]
    if measured is None or not cost:
        return None
    return {
        "key": candidate["key"],
        "cost": cost,
        "value": measured["value"],
        "low": measured["ci"][0],
        "high": measured["ci"][1],
        "color": ACCENT if candidate["chosen"] else INK,
        "bar": ACCENT if candidate["chosen"] else MUTED,
        "frontier": candidate["frontier"],
        "shape": "circle" if candidate["family"] == "prompting" else "diamond",
        "told": f"{view['metric']} {interval(measured)}; {seconds(cost)} for training and "
        f"{view['requests']:,} requests; {split_origin(view, candidate['key'], view['split'])}",
    }


def _name(
    points: list[dict[str, Any]], across: tuple[float, float], up: tuple[float, float], width: int, height: int
) -> None:
    def place(value: float) -> float:
        return height * (1 - (value - up[0]) / (up[1] - up[0]))

    span = log(across[1] / across[0])
    at = [(width * log(point["cost"] / across[0]) / span, place(point["value"])) for point in points]
    bars = [(place(point["high"]), place(point["low"])) for point in points]
    names = [point["key"] for point in points]
    corners = _steps(sorted(place for place, point in zip(at, points, strict=True) if point["frontier"]))
    for point, label in zip(points, placed(at, bars, names, width, corners), strict=True):
        point.update(dx=label.dx, dy=label.dy, align=label.align)


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of a line that keeps its height up to the next point."""
    corners = list(points[:1])
    for (_, before), (x, y) in pairwise(points):
        corners += [(x, before), (x, y)]
    return corners


def _text(base: Any, y: Any, color: Any, point: Mapping[str, Any]) -> Any:
    import altair as alt

    weight = 600 if point["color"] == ACCENT else 400
    chosen = base.transform_filter(alt.datum.key == point["key"])
    mark = chosen.mark_text(dx=point["dx"], dy=point["dy"], align=point["align"], fontSize=12, fontWeight=weight)
    return mark.encode(y=y, text="key:N", color=color)


def _goal(view: View, up: Any) -> list[Any]:
    import altair as alt

    goal = view["goal"]
    if goal is None or goal["metric"] != view["metric"]:
        return []
    at_least = goal.get("at_least") is not None
    threshold = goal["at_least"] if at_least else goal["at_most"]
    name = f"goal: {'at least' if at_least else 'at most'} {threshold:g}"
    base = alt.Chart(alt.Data(values=[{"value": threshold, "name": name}])).encode(
        y=upright("value:Q", up), description="name:N"
    )
    text = base.mark_text(align="left", baseline="bottom", dy=-4, fontSize=11, color=GOAL)
    return [base.mark_rule(strokeDash=[4, 4], color=GOAL), text.encode(x=alt.value(0), text="name:N")]


def _frontier_line(points: Sequence[Mapping[str, Any]], x: Any, y: Any) -> Any:
    import altair as alt

    found = sorted((point for point in points if point["frontier"]), key=lambda point: point["cost"])
    line = [{"cost": point["cost"], "value": point["value"]} for point in found]
    told = f"the frontier: {', '.join(point['key'] for point in found)}"  # else the first point's figures, all along
    chart = alt.Chart(alt.Data(values=line))
    return chart.mark_line(interpolate="step-after", color=MUTED, strokeWidth=1.5, description=told).encode(x=x, y=y)


def _reach(values: Sequence[float], view: View) -> tuple[float, float]:
    """From the least to the most that is drawn, the goal included, and a little more."""
    goal = view["goal"] or {}
    ends = [*values, *(goal[name] for name in ("at_least", "at_most") if goal.get(name) is not None)]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low or 1.0)
    lowest, highest = view["measure"].get("lowest"), view["measure"].get("highest")
    low = low - margin if lowest is None else max(low - margin, lowest)
    return low, high + margin if highest is None else min(high + margin, highest)


def _costs(low: float, high: float) -> tuple[float, float]:
    return low / 1.35, high * 1.35


def _seconds_axis(across: tuple[float, float]) -> Any:
    import altair as alt

    ticks = _ticks(across)
    names = " : ".join(f"datum.value == {step} ? '{seconds(step)}'" for step in ticks)
    return alt.Axis(title=None, values=ticks, labelExpr=f"{names} : ''" if ticks else "''", grid=False)


def _ticks(across: tuple[float, float]) -> list[float]:
    """Seven round numbers of seconds at most; costs that lie close get multiples of one, of which three fit between."""
    low, high = across
    ticks: list[float] = [step for step in TICKS if low <= step <= high]
    if len(ticks) < 3:
        multiples = ([n * step for n in range(ceil(low / step), floor(high / step) + 1)] for step in reversed(TICKS))
        ticks = next((found for found in multiples if len(found) >= 3), ticks)
    return ticks[:: len(ticks) // 7 + 1]
