"""The pictures of a report, as Vega-Lite charts made with altair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log
from typing import Any

from customspec.report.labels import placed
from customspec.report.numbers import interval, seconds
from customspec.report.svg import ACCENT, GOAL, INK, LINE, MUTED, PAPER

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
    y = _upright("value:Q", up)
    base = alt.Chart(alt.Data(values=points)).encode(x=x, description="told:N")
    color = alt.Color("color:N", scale=None)
    layers = [
        *_goal(view, up),
        _frontier_line(points, x, y),
        base.mark_rule(strokeWidth=1.5).encode(
            y=_upright("low:Q", up), y2="high:Q", color=alt.Color("bar:N", scale=None)
        ),
        base.mark_point(filled=True, size=120, opacity=1, stroke=PAPER, strokeWidth=1.5).encode(
            y=y, color=color, shape=alt.Shape("shape:N", scale=None)
        ),
        *(_text(base, y, color, point) for point in points),
    ]
    return _finished(alt.layer(*layers), width, height)


def training_loss(training: View, width: int, height: int) -> Chart | None:
    """The loss of each step."""
    losses = training["losses"]
    points = [{"step": step, "value": value, "told": f"step {step}: loss {value:.4g}"} for step, value in losses or ()]
    return _curve(points, width, height, mark=None) if points else None


def training_quality(training: View, metric: str, width: int, height: int) -> Chart | None:
    """The goal's metric on the validation rows, with the state that was kept."""
    points = [
        {"step": step, "value": value, "told": f"step {step}: {metric} {value:.4f} on the validation rows"}
        for step, value in training["evaluations"] or ()
    ]
    return _curve(points, width, height, mark=training["kept_step"]) if points else None


def learning_curve(curve: View, width: int, height: int, *, higher_is_better: bool) -> Chart | None:
    """The quality that each number of training rows gave, with its interval, and the law that leads on to twice as
    many; its interval is grey."""
    import altair as alt

    drawn = [*curve["points"], *([curve["at_twice"]] if curve["at_twice"] else [])]
    points = [
        {
            **{name: one[name] for name in ("rows", "value")},
            **dict(zip(("low", "high"), one["ci"], strict=True)),
            "told": _size(one, curve),
            "color": INK if "n" in one else MUTED,
        }
        for one in drawn
    ]
    if not points:
        return None
    x = alt.X("rows:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=None, tickCount=5, grid=False, format="d"))
    y, color = alt.Scale(zero=False), alt.Color("color:N", scale=None)
    base = alt.Chart(alt.Data(values=points)).encode(x=x, color=color, description="told:N")
    line = alt.Chart(alt.Data(values=_law(curve, points, 1 if higher_is_better else -1)))
    law = line.mark_line(color=MUTED, strokeWidth=1.5, strokeDash=[4, 3])
    layers = [
        law.encode(x=x, y=_upright("value:Q", y)),
        base.mark_rule(strokeWidth=1.5).encode(y=_upright("low:Q", y), y2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(y=_upright("value:Q", y)),
    ]
    return _finished(alt.layer(*layers), width, height)


def histogram(found: View, width: int, height: int) -> Chart:
    """How many rows have which score."""
    import altair as alt

    step = (found["high"] - found["low"]) / len(found["bins"])
    bars = [
        {
            "from": found["low"] + place * step,
            "to": found["low"] + (place + 1) * step,
            "rows": rows,
            "none": 0,
            "told": f"{rows} rows from {found['low'] + place * step:.3g} to {found['low'] + (place + 1) * step:.3g}",
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
    return _finished(chart, width, height)


def _point(candidate: View, view: View) -> dict[str, Any] | None:
    measured = (candidate["metrics"][view["split"]] or {}).get(view["metric"])
    cost = candidate["total_seconds"]
    if measured is None or not cost:
        return None
    rows = f"{measured['n']} {view['split']} rows"
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
        "told": f"{candidate['key']}: {view['metric']} {interval(measured)} on {rows}; {seconds(cost)} for training "
        f"and {view['requests']:,} requests; seed {candidate['seed']}; {_source(candidate, view)}",
    }


def _size(one: View, curve: View) -> str:
    on = f"on {one['n']} {curve['split']} rows" if "n" in one else "after the law"
    return f"{one['rows']} training rows: {curve['metric']} {interval(one)} {on}"


def _law(curve: View, points: Sequence[View], sign: int) -> list[dict[str, float]]:
    """limit - factor * rows^-exponent, + where less is better, from the fewest rows to the most."""
    if curve["law"] is None or curve["at_twice"] is None:
        return []
    limit, factor, exponent = (curve["law"][name] for name in ("limit", "factor", "exponent"))
    fewest, most = points[0]["rows"], points[-1]["rows"]
    sizes = [fewest + (most - fewest) * part / 40 for part in range(41)]
    return [{"rows": rows, "value": limit - sign * factor * rows**-exponent} for rows in sizes]


def _source(candidate: View, view: View) -> str:
    step = next(step for step in candidate["trace"] if step["split"] == view["split"])
    return f"step {step['fingerprint'][:19]}"


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
        y=_upright("value:Q", up), description="name:N"
    )
    text = base.mark_text(align="left", baseline="bottom", dy=-4, fontSize=11, color=GOAL)
    return [base.mark_rule(strokeDash=[4, 4], color=GOAL), text.encode(x=alt.value(0), text="name:N")]


def _upright(field: str, scale: Any) -> Any:
    import altair as alt

    return alt.Y(field, scale=scale, axis=alt.Axis(title=None, tickCount=5, format=".2f"))


def _frontier_line(points: Sequence[Mapping[str, Any]], x: Any, y: Any) -> Any:
    import altair as alt

    found = sorted((point for point in points if point["frontier"]), key=lambda point: point["cost"])
    line = [{"cost": point["cost"], "value": point["value"]} for point in found]
    chart = alt.Chart(alt.Data(values=line)).mark_line(interpolate="step-after", color=MUTED, strokeWidth=1.5)
    return chart.encode(x=x, y=y)


def _curve(points: list[dict[str, Any]], width: int, height: int, *, mark: int | None) -> Chart:
    import altair as alt

    x = alt.X("step:Q", axis=alt.Axis(title=None, tickCount=4, tickMinStep=1, grid=False, format="d"))
    values = [point["value"] for point in points]
    low, high = min(values), max(values)
    flat = low == high  # of which no scale can be made
    scale = (
        alt.Scale(domain=[max(low - 0.1, 0) if low >= 0 else low - 0.1, high + 0.1]) if flat else alt.Scale(zero=False)
    )
    y = alt.Y("value:Q", scale=scale, axis=alt.Axis(title=None, tickCount=4))
    base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
    layers = [
        base.mark_line(color=INK, strokeWidth=1.5),
        base.mark_point(size=24, opacity=0).encode(description="told:N"),
    ]
    if mark is not None:
        dots = base.mark_point(filled=True, size=26, opacity=1, color=INK).encode(description="told:N")
        kept = base.transform_filter(alt.datum.step == mark)
        layers += [dots, kept.mark_point(filled=True, size=90, opacity=1, color=ACCENT).encode(description="told:N")]
    return _finished(alt.layer(*layers), width, height)


def _finished(chart: Any, width: int, height: int) -> Chart:
    axis = {
        "labelColor": MUTED, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE,
        "labelFontSize": 11, "labelPadding": 6, "tickSize": 4, "domain": False, "titleColor": MUTED,
        "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 10,
    }  # fmt: skip
    dressed = chart.properties(width=width, height=height, background="transparent", padding=2)
    found: Chart = dressed.configure_axis(**axis).configure_view(stroke=None).configure_text(color=INK).to_dict()
    return found


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
