"""A learning curve run: the same steps as any run's, their answers put beside the whole run's, and the law fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from customspec.compiler import Compiled
from customspec.compiler.curve import SPLIT, Part, curve_parts, curve_plan, why_no_curve
from customspec.decide.curve import Point, curve_of
from customspec.decide.samples import Measure, Sample
from customspec.hookspecs import Progress
from customspec.inputs.splits import groups_of
from customspec.plan import Plan, Step
from customspec.runners.limits import Limits
from customspec.runners.local import run_plan
from customspec.runners.metrics import Scoring
from customspec.runners.outcome import Outcome, StepOutcome
from customspec.runners.rows import load_rows, read_lines
from customspec.runners.samples import sample_of
from customspec.runners.work import CHECKPOINT_SECONDS, Host


@dataclass(frozen=True, slots=True)
class CurveRun:
    """The `curve` of the results document, and what became of its steps; None where it had none."""

    document: dict[str, Any]
    outcome: Outcome | None


def run_curve(
    compiled: Compiled,
    shares: tuple[int, ...],
    outcome: Outcome,
    host: Host,
    *,
    watcher: Progress,
    limits: Limits,
    begins: Callable[[Plan], None],
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> CurveRun:
    """Draw the chosen candidate's curve, as far as there is one to draw and `limits`, the whole run's, leave time.
    `begins` is told the curve's plan before its first step."""
    plan = compiled.plan
    key = outcome.steps["decide"].values.get("chosen_key")
    if key is None:
        return _no_curve(None, "no candidate was chosen, so there is none to draw a curve of")
    reason = why_no_curve(compiled, key)
    if reason is not None:
        return _no_curve(key, reason)
    whole = next(step for step in plan.steps if step.candidate == key and step.params.get("split") == SPLIT)
    searched = outcome.steps.get(f"search:{key.rpartition('@')[0]}")
    parts = curve_parts(compiled, key, shares, {} if searched is None else searched.values["chosen"])
    drawn = curve_plan(plan, parts)
    begins(drawn)
    ended = run_plan(drawn, host, watcher, checkpoint_seconds=checkpoint_seconds, limits=replace(limits, most={}))
    if ended.stopped is not None:
        raise ended.stopped
    question = plan.step("decide").params
    scoring = Scoring.of(question["metric"], host.registry)
    measure = Measure.of(scoring.metric, scoring.id)
    groups = _groups(whole, outcome)
    assert compiled.data.rows is not None
    sizes = [(part.share, part.rows, part.steps[-1], ended) for part in parts]
    sizes.append((1.0, len(compiled.data.rows.train), whole, outcome))
    points = [
        Point(share, rows, sample)
        for share, rows, step, of in sizes
        if (sample := _sample(step, of.steps, scoring, groups)) is not None
    ]
    margin = measure.default_margin if question["margin"] is None else question["margin"]
    found = curve_of(points, measure, margin, question["confidence"])
    document = {
        "candidate": key,
        "metric": measure.name,
        "split": SPLIT,
        **found.to_json(),
        "steps": _steps(parts, ended),
    }
    return CurveRun(document, ended)


def _no_curve(key: str | None, reason: str) -> CurveRun:
    document: dict[str, Any] = {"candidate": key, "metric": None, "split": SPLIT, "points": [], "law": None}
    return CurveRun({**document, "at_twice": None, "more_helps": None, "answer": reason, "steps": {}}, None)


def _steps(parts: tuple[Part, ...], ended: Outcome) -> dict[str, Any]:
    return {
        step.id: {
            "status": ended.steps[step.id].status,
            "reason": ended.steps[step.id].reason,
            "fingerprint": step.fingerprint,
            "seed": step.params.get("seed"),
            "rows": part.rows,
        }
        for part in parts
        for step in part.steps
    }


def _groups(step: Step, outcome: Outcome) -> Mapping[str, str] | None:
    column, data = step.params["group"], outcome.steps["data"].result
    if column is None or data is None:
        return None
    return groups_of(load_rows(data.folder / f"{SPLIT}.jsonl"), column)


def _sample(
    step: Step, steps: Mapping[str, StepOutcome], scoring: Scoring, groups: Mapping[str, str] | None
) -> Sample | None:
    result = steps[step.id].result
    if result is None:
        return None
    return sample_of(scoring, read_lines(result.folder / "predictions.jsonl"), groups)
