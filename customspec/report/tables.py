"""Plans and results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

from rich.table import Table

from customspec.decide.decision import CHOICES
from customspec.decide.wording import percent
from customspec.plan import Plan
from customspec.report.numbers import count, probability, seconds
from customspec.report.quantities import duration, operations, size
from customspec.report.sides import from_side
from customspec.report.text import clipped, escape

LONGEST: Final = 60  # characters of an option that was found

# columns that a narrow terminal can do without, the first ones first
DISPENSABLE_OF_RESULTS: Final = (
    "memory",
    "artifact",
    "trained\nparameters",
    "prompt\ntokens",
    "training",
    "per\nrequest",
    "cost",
    "validation",
)
DISPENSABLE_OF_CANDIDATES: Final = (
    "from",
    "operations",
    "of",
    "technique",
    "artifact",
    "prompt tokens",
    "trained parameters",
    "memory",
)
DISPENSABLE_OF_A_PLAN: Final = ("kind", "after", "condition")


def plan_table(plan: Plan, cached: Mapping[str, bool]) -> Table:
    """The steps in order: what would run, and what the store already holds."""
    table = plain_table("step", "kind", "state", "after", "condition")
    for step in plan.steps:
        gate = step.gate
        bound = "" if gate is None else (f"≥ {gate.at_least:g}" if gate.at_least is not None else f"≤ {gate.at_most:g}")
        condition = "" if gate is None else f"unless an earlier rung has {gate.metric} {bound}"
        state = "cached" if cached[step.id] else "to run"
        table.add_row(
            step.id, step.kind, state, ", ".join(step.needs) if len(step.needs) < 4 else "all above", condition
        )
    return table


def candidates_table(plan: Plan) -> Table:
    """The candidates with their parameters and what they are expected to cost."""
    titles = ("trained parameters", "of", "prompt tokens", "artifact", "operations", "memory", "time")
    table = plain_table("candidate", "technique", *titles, "from", right=tuple(range(2, 9)))
    for candidate in plan.candidates:
        expected = candidate.estimate.get
        tokens = expected("prompt_tokens")
        table.add_row(
            candidate.key,
            candidate.technique,
            _count(candidate.trainable_parameters),
            _count(candidate.total_parameters),
            "-" if tokens is None else f"{tokens:.0f}",
            size(expected("artifact_bytes") or None),
            operations(_sum(expected("training_flops"), expected("evaluation_flops"))),
            size(expected("peak_memory_bytes")),
            duration(expected("seconds")),
            f"{candidate.distribution} {candidate.version}",
        )
    return table


def results_table(document: Mapping[str, Any], metric: str) -> Table:
    """One line per candidate: quality with its interval, and what it cost."""
    priced = any(candidate["cost"].get("price") for candidate in document["candidates"])
    table = plain_table(
        "candidate",
        f"{metric}\nvalidation",
        f"{metric}\ntest, {percent(_confidence(document))} interval",
        "training",
        "per\nrequest",
        "prompt\ntokens",
        "trained\nparameters",
        "artifact",
        "memory",
        *(["cost"] if priced else []),
        "status",
        right=range(1, 10 if priced else 9),
    )
    decision = document["decision"]
    chosen = decision["chosen_key"] if decision["ending"] in CHOICES else None
    for candidate in document["candidates"]:
        cost = candidate["cost"]
        speed = cost["rows_per_second"]
        table.add_row(
            ("→ " if candidate["key"] == chosen else "  ") + candidate["key"] + _role(candidate),
            _value(candidate["metrics"]["validation"], metric),
            _with_interval(candidate["metrics"]["test"], metric),
            seconds(cost["train_seconds"]),
            seconds(1 / speed if speed else None),
            count(cost["prompt_tokens_per_example"]),
            count(cost["trainable_parameters"]),
            size(cost["artifact_bytes"]),
            size(cost["peak_memory_bytes"]),
            *([_money(cost["price"])] if priced else []),
            candidate["status"] + (f": {escape(candidate['reason'])}" if candidate["reason"] else ""),
        )
    return table


def decision_lines(document: Mapping[str, Any]) -> list[str]:
    """The answer in one sentence, then what it rests on."""
    decision = document["decision"]
    found = (*_search_lines(document), *_fit_lines(document))
    lines = [*decision["reasons"], *found, *_pair_lines(decision), *_seed_lines(decision)]
    return [f"answer: {escape(decision['answer'])}", *(f"  - {escape(line)}" for line in lines)]


def _search_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The options that each search found; a search serves all seeds of its candidate."""
    searched = {one["id"]: one["search"] for one in document.get("candidates", ()) if one.get("search")}
    for id, search in searched.items():
        chosen = ", ".join(f"{option} {_option(value)}" for option, value in search["chosen"].items())
        trials = f"the best of {search['trials']} trials, {search['stopped']} of them stopped early"
        yield f"{id}: {chosen}: {trials}; {search['metric']} {search['value']:.3f} on the validation rows"


def _fit_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The options that each prompt was fitted to."""
    for candidate in document.get("candidates", ()):
        if (fit := candidate.get("fit")) is not None:
            found = ", ".join(
                f"{option} {clipped(_option(value), LONGEST)}" for option, value in fit["options"].items()
            )
            yield f"{candidate['key']}: {found or 'its options as given'}: fitted by scoring {fit['scored']:,} rows"


def _pair_lines(decision: Mapping[str, Any]) -> Iterator[str]:
    """The chosen candidate against each other one, on the rows that it was chosen on."""
    for pair in decision["pairs"]:
        if decision["chosen_key"] not in (pair["first"], pair["second"]) or pair["split"] != decision["chosen_on"]:
            continue
        pair = from_side(pair, decision["chosen_key"])
        low, high = pair["ci"]
        difference = f"{pair['difference']:+z.3f} [{low:+z.3f}, {high:+z.3f}]"
        hidden = f"; on {pair['n']} rows {_unseen(pair)}" if pair["verdict"] == "not distinguishable" else ""
        if hidden and (low > 0 or high < 0):
            hidden = f"; p {probability(pair['p_holm'])} among all pairs, the interval is of this one alone{hidden}"
        yield f"against {pair['second']} on the {pair['split']} rows: {pair['verdict']}, {difference}{hidden}"


def _unseen(pair: Mapping[str, Any]) -> str:
    """How small a difference would have shown. Where no row's score differs, the interval is a point: right and wrong
    rows tell it even then, and have an interval, but other scores don't."""
    if pair["smallest"] is not None:
        return f"one of {pair['smallest']:.3f} would mostly show"
    if pair["difference"] == 0 and not any(pair["ci"]):
        return "no score differs, so they do not tell which difference would show"
    return "no difference could show"


def _seed_lines(decision: Mapping[str, Any]) -> Iterator[str]:
    for id, splits in decision["seeds"].items():
        for split, spread in splits.items():
            count, ends = len(spread["seeds"]), f"{spread['min']:.3f} to {spread['max']:.3f}"
            yield f"{id}, {count} seeds on the {split} rows: {ends}, standard deviation {spread['sd']:.3f}"


def _role(candidate: Mapping[str, Any]) -> str:
    return " (gauge)" if candidate.get("gauge") else ""


def _option(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _money(price: Mapping[str, float] | None) -> str:
    return "-" if price is None else f"{price['total']:.3g}"


def plain_table(*titles: str, right: Container[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, title in enumerate(titles):
        table.add_column(title, justify="right" if index in right else "left", overflow="fold")
    return table


def _confidence(document: Mapping[str, Any]) -> float:
    for candidate in document["candidates"]:
        for measured in (candidate["metrics"]["test"] or {}).values():
            return float(measured["confidence"])
    return 0.95


def _value(metrics: Mapping[str, Any] | None, name: str) -> str:
    return "-" if not metrics else f"{metrics[name]['value']:z.3f}"


def _with_interval(metrics: Mapping[str, Any] | None, name: str) -> str:
    if not metrics:
        return "-"
    low, high = metrics[name]["ci"]
    return f"{metrics[name]['value']:z.3f} [{low:z.3f}, {high:z.3f}]"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _sum(*numbers: float | None) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
