"""The report as one HTML page that needs nothing else: no network, no script, no file beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from customspec.decide.wording import percent
from customspec.report import numbers, origins, pictures, trainings
from customspec.report.disagreements import grouped
from customspec.report.origins import trace
from customspec.report.svg import drawing, drawn
from customspec.report.text import escape_lines

View = Mapping[str, Any]
CLASSES = 20  # in a matrix, and in the table of classes
WHISKER = 144  # units of the small picture in a table
ENDINGS: Mapping[str, tuple[str, str]] = {
    "shown": ("The goal is met", "good"),
    "not_shown": ("The goal is not shown to be met", "bad"),
    "not_reached": ("The goal is not reached", "bad"),
    "within_margin": ("Chosen without a goal", ""),
    "undecided": ("Undecided", "bad"),
    "only_one": ("One candidate", ""),
    "nothing": ("Nothing was decided", "bad"),
}


def page_of(view: View, *, draw: bool | None = None) -> str:
    """The page. `draw`: with pictures; by default where they can be drawn."""
    draw = drawing() if draw is None else draw
    environment = _environment()
    environment.globals.update(_origins(view))  # first: the helpers have macros that use them
    environment.globals.update(_helpers(view, environment))
    context = {
        "view": view,
        "style": Markup(_text("style.css")),
        "drawing": draw,
        "chosen": next((one for one in view["candidates"] if one["chosen"]), None),
        "ending": ENDINGS.get(view["decision"].get("ending", ""), ("", "")),
        "pictures": _quality(view, draw=draw),
        "trained": [_trained(one, view, draw=draw) for one in view["candidates"] if one.get("training")],
        "learning": _learning(view) if draw else None,
        "histograms": _histograms(view) if draw else [],
        "classes": _classes(view["data"]),
        "estimates": _estimates(view),
        "lengths": _lengths(view),
        "steps": _steps(view),
    }
    return environment.get_template("page.html.jinja").render(context)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("customspec.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = ("value", "price", "seconds", "count", "size", "share", "difference", "probability")
    environment.filters.update({name: getattr(numbers, name) for name in named})
    environment.filters.update(ci=numbers.measured_interval, short=origins.short, percent=percent)
    return environment


def _finalized(value: Any) -> Any:
    """What others wrote, as the page may show it: without control characters, and without what reorders its
    surroundings."""
    return escape_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _helpers(view: View, environment: Environment) -> dict[str, Callable[..., Any]]:
    parts: Any = environment.get_template("parts.html.jinja").module
    goal = view["goal"] or {}
    threshold = goal.get("at_least", goal.get("at_most")) if goal.get("metric") == view["metric"] else None
    low, high = view["measure"].get("lowest"), view["measure"].get("highest")
    bounded = low is not None and high is not None and threshold is not None
    return {
        "sentence": lambda text: _sentence(text, view["decision"].get("chosen")),
        "rate": lambda speed: f"{speed:.3g} rows per second" if speed else "",
        "trained_line": _trained_line,
        "verdict_table": parts.verdict_table,
        "matrix": partial(parts.matrix, most=CLASSES),
        "disagreement": lambda row, split: parts.disagreement({**row, "answers": grouped(row)}, split),
        "whisker": lambda one: _whisker(one, view, threshold, parts.whisker),
        "priced": lambda one: f"{one['cost']['price']['per_request']:.3g} a request" if one["cost"]["price"] else "",
        "bounded": bounded,
        "threshold": threshold,
        "position": lambda value: f"{100 * (value - low) / (high - low):.2f}",
    }


def _origins(view: View) -> dict[str, Callable[..., str]]:
    """What pointing at a figure, or at a line of a table, tells."""
    return {
        "trace": trace,
        "key_trace": lambda key: next(trace(one) for one in view["candidates"] if one["key"] == key),
        "point_trace": lambda point: origins.point_origin(point, view),
        "split_trace": lambda key, split: origins.split_origin(view, key, split),
        "pair_trace": lambda pair: origins.pair_origin(pair, view),
        "spread_trace": lambda id, split: origins.spread_origin(id, split, view),
    }


def _sentence(text: str, name: str | None) -> str:
    """The sentence with a capital, unless it begins with a candidate's name, and with a full stop."""
    begun = text if name is not None and text.startswith(name) else text[:1].upper() + text[1:]
    return f"{begun}."


def _quality(view: View, *, draw: bool) -> dict[str, Markup | None]:
    """The picture for wide and for narrow windows: letters keep their size in both."""
    title = f"{view['metric']} of each candidate against its cost"
    sizes = {"quality": (1060, 340), "quality_narrow": (330, 300)}
    charts = {name: pictures.quality_and_cost(view, *size) if draw else None for name, size in sizes.items()}
    return {name: None if chart is None else drawn(chart, title, name) for name, chart in charts.items()}


def _trained(one: View, view: View, *, draw: bool) -> dict[str, Any]:
    training = one["training"]
    losses, evaluations = dict(training["losses"] or ()), dict(training["evaluations"] or ())
    steps = sorted({*losses, *evaluations})
    return {
        **one,
        "pictures": list(_curves(one, view)) if draw else [],
        "table": [(step, losses.get(step), evaluations.get(step)) for step in steps],
        "origin": origins.training_origin(one),
    }


def _curves(one: View, view: View) -> Any:
    charts = (
        ("training loss", trainings.training_loss(one, 240, 120)),
        (f"{view['metric']}, validation rows", trainings.training_quality(one, view["metric"], 240, 120)),
    )
    for place, (name, chart) in enumerate(charts):
        if chart is not None:
            yield name, drawn(chart, f"{name} of {one['key']} by step", f"curve-{_id(one['key'])}-{place}")


def _learning(view: View) -> Markup | None:
    curve = view["curve"]
    if curve is None:
        return None
    chart = trainings.learning_curve(view, 480, 200)
    return None if chart is None else drawn(chart, f"{curve['metric']} by training rows", "learning-curve")


def _histograms(view: View) -> list[dict[str, Any]]:
    return [
        {
            "key": one["key"],
            "picture": drawn(
                pictures.histogram(one, origins.split_origin(view, one["key"], one["split"]), 240, 110),
                f"{one['metric']} of {one['key']}, row by row",
                f"rows-{_id(one['key'])}",
            ),
        }
        for one in view["distributions"]
    ]


def _id(key: str) -> str:
    return key.replace("@", "-")


def _trained_line(one: View) -> str:
    training, cost = one["training"], one["cost"]
    parts = [f"{training['steps']} steps in {numbers.seconds(cost['train_seconds'])}, seed {one['seed']}"]
    if training["untrained_loss"] is not None:
        parts.append(f"loss before training {numbers.value(training['untrained_loss'])}")
    if training["kept_step"] is not None:
        parts.append(f"the state of step {training['kept_step']} was kept")
    return "; ".join(parts)


def _whisker(one: View, view: View, threshold: float | None, part: Callable[..., Markup]) -> Markup | str:
    """The interval on a scale that all lines of the table share."""
    measured = (one["metrics"][view["split"]] or {}).get(view["metric"])
    if measured is None:
        return numbers.NONE
    low, high = _scale(view, threshold)

    def at(value: float) -> str:
        return f"{WHISKER * (value - low) / ((high - low) or 1.0):.1f}"

    text = f"{one['key']}: {numbers.interval(measured)} on {measured['n']} {view['split']} rows; {trace(one)}"
    goal = None if threshold is None else at(threshold)
    picture = part(at(measured["ci"][0]), at(measured["value"]), at(measured["ci"][1]), goal, one["chosen"], text)
    return Markup('{} <span class="ci">{}</span>').format(picture, numbers.measured_interval(measured))


def _scale(view: View, threshold: float | None) -> tuple[float, float]:
    low, high = view["measure"].get("lowest"), view["measure"].get("highest")
    found = [
        end
        for one in view["candidates"]
        if one["metrics"][view["split"]]
        for end in one["metrics"][view["split"]][view["metric"]]["ci"]
    ]
    ends = [*found, *([] if threshold is None else [threshold])]
    return (min(ends) if low is None else low), (max(ends) if high is None else high)


def _classes(data: View | None) -> dict[str, Any] | None:
    """The classes as a table: a line each, its rows in every split."""
    counted = [one["classes"] for one in data["splits"].values()] if data else []
    if not counted or any(classes is None for classes in counted):
        return None
    names = sorted({name for classes in counted for name in classes}, key=lambda name: -counted[0].get(name, 0))
    most = [max(classes.values()) for classes in counted]
    rows = [(name, [classes.get(name, 0) for classes in counted]) for name in names[:CLASSES]]
    return {"rows": rows, "most": most, "more": max(0, len(names) - CLASSES)}


def _estimates(view: View) -> list[dict[str, Any]]:
    """What the plan had predicted of each candidate, beside what was measured, where the results have both."""
    pairs: Sequence[tuple[str, str, str, Callable[[Any], str]]] = (
        ("training", "train_seconds", "train_seconds", numbers.seconds),
        ("evaluation", "evaluate_seconds", "evaluate_seconds", numbers.seconds),
        ("memory", "peak_memory_bytes", "peak_memory_bytes", numbers.size),
        ("artifact", "artifact_bytes", "artifact_bytes", numbers.size),
        ("prompt tokens", "prompt_tokens", "prompt_tokens_per_example", numbers.count),
    )
    ran = [one for one in view["candidates"] if one.get("estimate") and one["status"] in ("done", "cached")]
    return [
        {
            "key": one["key"],
            "figures": {
                name: (told_as(one["estimate"].get(predicted)), told_as(one["cost"].get(measured)))
                for name, predicted, measured, told_as in pairs
            },
        }
        for one in ran
    ]


def _lengths(view: View) -> str:
    found = [
        f"{one['cost']['dropped_rows']} dropped and {one['cost']['cut_rows']} cut for {one['key']}"
        for one in view["candidates"]
        if one["cost"]["dropped_rows"] or one["cost"]["cut_rows"]
    ]
    return "; ".join(found) or "none"


def _steps(view: View) -> list[dict[str, Any]]:
    traced = {step["step"]: step for one in view["candidates"] for step in one["trace"]}
    plain = {"candidate": None, "seed": None, "rows": None}
    return [{**plain, **step, **traced.get(step["step"], {})} for step in view["steps"]]


def _text(name: str) -> str:
    return files("customspec.report").joinpath("templates", name).read_text(encoding="utf-8")
