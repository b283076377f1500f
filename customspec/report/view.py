"""All that a report shows of a run, as plain JSON: what the page, the pull request and `--json` are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from customspec.decide.wording import short_run
from customspec.plan import Step
from customspec.report.answers import confusion, distribution, mistakes
from customspec.report.finished import Finished
from customspec.report.frontier import REQUESTS, Point, frontier, total_seconds
from customspec.report.sides import from_side
from customspec.spec import Goal

VERSION = 1
SPLITS = ("test", "validation")
View = dict[str, Any]


def view_of(run: Finished) -> View:
    """Every figure with where it comes from: candidate, rows, seed, step."""
    results, evidence = run.results, run.evidence
    decision = {key: value for key, value in results["decision"].items() if key != "pairs"}
    measure = evidence.get("metrics", {}).get(run.metric, {})
    split = next((split for split in SPLITS if any(c["metrics"][split] for c in run.candidates)), "test")
    requests = REQUESTS if run.plan.cost is None else run.plan.cost["requests_per_month"]
    candidates = _candidates(run, split, requests, higher_is_better=measure.get("higher_is_better", True))
    return {
        "report": VERSION,
        "name": results["name"],
        "run": results["run"],
        "decision": decision,
        "shortened": short_run(run.plan.shortened),
        "goal": results.get("goal"),
        "strategy": results.get("strategy"),
        "metric": run.metric,
        "measure": measure,
        "metrics": list(run.plan.metrics),
        "split": split,
        "requests": requests,
        "priced": run.plan.cost is not None,
        "candidates": candidates,
        "ladder": list(_rungs(run)) if results.get("strategy") == "ladder" else None,
        "verdicts": _verdicts(results["decision"]["pairs"], run.chosen),
        "curve": results.get("curve"),
        "confidence": run.plan.step("decide").params["confidence"],
        "confusions": list(_confusions(run, split)),
        "distributions": list(_distributions(run, split, measure)),
        "disagreements": evidence.get("disagreements"),
        "data": evidence.get("data"),
        "prompts": list(_prompts(run)),
        "environment": results["environment"],
        "digests": _digests(run),
        "steps": [
            *(_step(step, results["steps"].get(step.id, {})) for step in run.plan.steps),
            *_curve_steps(results.get("curve")),
        ],
    }


def _candidates(run: Finished, split: str, requests: int, *, higher_is_better: bool) -> list[View]:
    totals = {candidate["key"]: total_seconds(candidate["cost"], requests) for candidate in run.candidates}
    deciding = run.plan.step("decide").params["order"]  # the first seed of each
    points = [
        Point(candidate["key"], total, candidate["metrics"][split][run.metric]["value"])
        for candidate in run.candidates
        if candidate["key"] in deciding
        and candidate["metrics"][split]
        and (total := totals[candidate["key"]]) is not None
    ]
    nothing_beats = {point.key for point in frontier(points, higher_is_better=higher_is_better)}
    return [
        {
            **candidate,
            "chosen": candidate["key"] == run.chosen,
            "total_seconds": totals[candidate["key"]],
            "seconds_per_request": _inverse(candidate["cost"]["rows_per_second"]),
            "frontier": candidate["key"] in nothing_beats,
            "trace": _trace(run, candidate),
        }
        for candidate in run.candidates
    ]


def _trace(run: Finished, candidate: Mapping[str, Any]) -> list[View]:
    """The steps behind a candidate's figures, with the rows that each worked on."""
    key, found = candidate["key"], []
    for step in run.plan.steps:
        if step.candidate == key:
            measured = (candidate["metrics"].get(step.params.get("split", "")) or {}).get(run.metric, {})
            rows = (candidate["training"] or {}).get("rows") if step.kind == "train" else measured.get("n")
            source = {"candidate": key, "seed": candidate["seed"], "rows": rows}
            found.append({**source, "split": step.params.get("split"), **_step(step, run.results["steps"][step.id])})
    return found


def _step(step: Step, taken: Mapping[str, Any]) -> View:
    status = {"status": taken.get("status"), "reason": taken.get("reason")}
    return {"step": step.id, "kind": step.kind, "fingerprint": step.fingerprint, **status}


def _curve_steps(curve: Mapping[str, Any] | None) -> Iterator[View]:
    """The steps behind a learning curve, which are none of the plan's; runs of earlier versions did not name them. Each
    with the rows that it worked on, and with the training rows of its share."""
    evaluated = {point["rows"]: point.get("n") for point in (curve or {}).get("points", ())}
    for id, taken in (curve or {}).get("steps", {}).items():
        if taken.get("fingerprint") is not None:
            kind = id.partition(":")[0]
            candidate = None if kind == "data" or curve is None else curve["candidate"]
            share = taken.get("rows")
            rows = {"rows": evaluated.get(share) if kind == "evaluate" else share, "training_rows": share}
            yield {"step": id, "kind": kind, "candidate": candidate, **taken, **rows}


def _rungs(run: Finished) -> Iterator[View]:
    """The candidates from cheap to expensive, and how far the climb came."""
    order = run.plan.step("decide").params["order"]
    by_key = {candidate["key"]: candidate for candidate in run.candidates}
    for key in order:
        candidate = by_key[key]
        split = "validation" if candidate["metrics"]["validation"] else "test"
        measured = (candidate["metrics"][split] or {}).get(run.metric)
        value = measured and measured["value"]
        yield {
            "key": key,
            "status": candidate["status"],
            "reason": candidate["reason"],
            "split": split,
            "measured": measured,
            "reached": None if value is None else _reaches(value, run.results["goal"]),
        }


def _reaches(value: float, goal: Mapping[str, Any]) -> bool:
    return bool(Goal.model_validate(goal).reached_by(value))


def _verdicts(pairs: list[View], chosen: str | None) -> dict[str, list[View]]:
    """The pairs by role, `choosing` or `descriptive`; those of the chosen candidate first, and told from its side."""
    ordered = sorted((from_side(pair, chosen) for pair in pairs), key=lambda pair: pair["first"] != chosen)
    return {role: [pair for pair in ordered if pair["role"] == role] for role in ("choosing", "descriptive")}


def _confusions(run: Finished, split: str) -> Iterator[View]:
    for candidate in _chosen_first(run):
        predictions, choices = run.predictions(candidate["key"], split), _choices(run, candidate["key"])
        if predictions and choices:
            table = confusion(predictions, choices)
            found = {"rows": len(predictions), **table, "mistakes": mistakes(table)}
            yield {"key": candidate["key"], "split": split, **found}


def _distributions(run: Finished, split: str, measure: Mapping[str, Any]) -> Iterator[View]:
    """The distribution of the rows' scores, where the metric scores rows and its scores are more than right or
    wrong."""
    if not measure or measure["proportion"]:
        return
    scored = {candidate["key"]: _scores(run, candidate["key"], split) for candidate in _chosen_first(run)}
    every = [score for scores in scored.values() for score in scores]
    if every:
        low, high = _ends(measure, min(every), max(every))
        for key, scores in scored.items():
            if scores:
                yield {"key": key, "split": split, "metric": run.metric, **distribution(scores, low, high)}


def _scores(run: Finished, key: str, split: str) -> list[float]:
    found = (one.get("scores", {}).get(run.metric) for one in run.predictions(key, split))
    return [score for score in found if score is not None and isfinite(score)]


def _ends(measure: Mapping[str, Any], least: float, most: float) -> tuple[float, float]:
    low, high = measure["lowest"], measure["highest"]
    return (least if low is None else low), (most if high is None else high)


def _prompts(run: Finished) -> Iterator[View]:
    for candidate in _chosen_first(run):
        prompt = run.prompts.get(candidate["key"])
        if prompt is not None:
            yield {"seen": None, **prompt, "key": candidate["key"]}


def _choices(run: Finished, key: str) -> list[str] | None:
    found: list[str] | None = next(
        (step.params["choices"] for step in run.plan.steps if step.candidate == key and step.kind == "evaluate"), None
    )
    return found


def _chosen_first(run: Finished) -> list[Mapping[str, Any]]:
    return sorted(run.candidates, key=lambda candidate: candidate["key"] != run.chosen)


def _digests(run: Finished) -> View:
    """What the numbers are numbers of: the spec, the plan, the models and the data."""
    models = [step for step in run.plan.steps if step.kind == "model"]
    data = run.plan.step("data")
    return {
        "spec": {"place": run.plan.sources.get("spec"), "digest": run.results["spec_digest"]},
        "plan": {"digest": run.results["plan_digest"]},
        "models": [
            {"place": step.sources.get("label"), "kind": step.params["kind"], "digest": step.params["digest"]}
            for step in models
        ],
        "data": [
            {"split": split, "place": ", ".join(label for label, _ in data.sources.get(split, [])), "digest": digest}
            for split, digest in data.params["splits"].items()
        ],
    }


def _inverse(number: float | None) -> float | None:
    return 1 / number if number else None
