"""The pictures of trainings and of the learning curve, as Vega-Lite charts made with altair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from customspec.report.numbers import interval
from customspec.report.origins import point_origin, training_origin
from customspec.report.svg import ACCENT, INK, MUTED, finished, upright

View = Mapping[str, Any]
Chart = dict[str, Any]


def training_loss(candidate: View, width: int, height: int) -> Chart | None:
    """The loss of each step."""
    origin = training_origin(candidate)
    points = [
        {"step": step, "value": value, "told": f"step {step}: loss {value:.4g}; {origin}"}
        for step, value in candidate["training"]["losses"] or ()
    ]
    return _curve(points, f"training loss of {origin}", width, height, mark=None) if points else None


def training_quality(candidate: View, metric: str, width: int, height: int) -> Chart | None:
    """The goal's metric on the validation rows, with the state that was kept."""
    training, origin = candidate["training"], training_origin(candidate)
    points = [
        {"step": step, "value": value, "told": f"step {step}: {metric} {value:.4f} on the validation rows; {origin}"}
        for step, value in training["evaluations"] or ()
    ]
    told = f"{metric} on the validation rows while training, of {origin}"
    return _curve(points, told, width, height, mark=training["kept_step"]) if points else None


def learning_curve(view: View, width: int, height: int) -> Chart | None:
    """The quality that each number of training rows gave, with its interval, and the law that leads on to twice as
    many; its interval is grey."""
    import altair as alt

    curve = view["curve"]
    drawn = [*curve["points"], *([curve["at_twice"]] if curve["at_twice"] else [])]
    points = [
        {
            **{name: one[name] for name in ("rows", "value")},
            **dict(zip(("low", "high"), one["ci"], strict=True)),
            "told": _size(one, view),
            "color": INK if "n" in one else MUTED,
        }
        for one in drawn
    ]
    if not points:
        return None
    x = alt.X("rows:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=None, tickCount=5, grid=False, format="d"))
    y, color = alt.Scale(zero=False), alt.Color("color:N", scale=None)
    base = alt.Chart(alt.Data(values=points)).encode(x=x, color=color, description="told:N")
    sign = 1 if view["measure"].get("higher_is_better", True) else -1
    told = f"the law through what {curve['candidate']} reached by its training rows"
    line = alt.Chart(alt.Data(values=_law(curve, points, sign)))
    law = line.mark_line(color=MUTED, strokeWidth=1.5, strokeDash=[4, 3], description=told)
    layers = [
        law.encode(x=x, y=upright("value:Q", y)),
        base.mark_rule(strokeWidth=1.5).encode(y=upright("low:Q", y), y2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(y=upright("value:Q", y)),
    ]
    return finished(alt.layer(*layers), width, height)


def _size(one: View, view: View) -> str:
    curve = view["curve"]
    on = f"on {one['n']} {curve['split']} rows" if "n" in one else "after the law"
    return f"{one['rows']} training rows: {curve['metric']} {interval(one)} {on}; {point_origin(one, view)}"


def _law(curve: View, points: Sequence[View], sign: int) -> list[dict[str, float]]:
    """limit - factor * rows^-exponent, + where less is better, from the fewest rows to the most."""
    if curve["law"] is None or curve["at_twice"] is None:
        return []
    limit, factor, exponent = (curve["law"][name] for name in ("limit", "factor", "exponent"))
    fewest, most = points[0]["rows"], points[-1]["rows"]
    sizes = [fewest + (most - fewest) * part / 40 for part in range(41)]
    return [{"rows": rows, "value": limit - sign * factor * rows**-exponent} for rows in sizes]


def _curve(points: list[dict[str, Any]], told: str, width: int, height: int, *, mark: int | None) -> Chart:
    """A line that `told` describes, its points, and larger the one to `mark`."""
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
        base.mark_line(color=INK, strokeWidth=1.5, description=told),
        base.mark_point(size=24, opacity=0).encode(description="told:N"),
    ]
    if mark is not None:
        dots = base.mark_point(filled=True, size=26, opacity=1, color=INK).encode(description="told:N")
        kept = base.transform_filter(alt.datum.step == mark)
        layers += [dots, kept.mark_point(filled=True, size=90, opacity=1, color=ACCENT).encode(description="told:N")]
    return finished(alt.layer(*layers), width, height)
