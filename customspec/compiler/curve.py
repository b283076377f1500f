"""A learning curve as steps: the chosen candidate on nested shares of its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from customspec.compiler import Compiled
from customspec.compiler.candidates import Ready
from customspec.compiler.data import answer_of
from customspec.compiler.entries import shots_of
from customspec.compiler.fitting import is_fitted
from customspec.compiler.models import ResolvedModel, with_recipe
from customspec.compiler.problems import Problems
from customspec.compiler.steps import StepInputs, candidate_steps, fit_steps
from customspec.errors import UsageError
from customspec.inputs.splits import shared_out
from customspec.plan import Plan, Step, make_step
from customspec.source import Document
from customspec.spec import varied

SPLIT = "validation"


@dataclass(frozen=True, slots=True)
class Part:
    """One size: the steps that train and evaluate on it, of which the last evaluates."""

    share: float
    rows: int
    steps: tuple[Step, ...]


def check_shares(text: str) -> tuple[int, ...]:
    """Percent of the training rows, for instance `25,50,100`, ascending; 100 comes with the run. Raises UsageError."""
    try:
        shares = sorted({int(part) for part in text.split(",")})
    except ValueError:
        shares = []
    if not shares or not all(1 <= share <= 100 for share in shares) or shares == [100]:
        raise UsageError(f"--curve takes percentages of the training rows, for instance 25,50,100; found {text}")
    return tuple(share for share in shares if share < 100)


def why_no_curve(compiled: Compiled, key: str) -> str | None:
    """Why more training rows could change nothing, or not be measured; None where they could."""
    ready = _ready(compiled, key)
    if not any(step.candidate == key and step.params.get("split") == SPLIT for step in compiled.plan.steps):
        return "there are no validation rows to measure it on"
    if ready.draft.tuning is None and not shots_of(ready.draft) and not is_fitted(ready.draft):
        return f"{ready.draft.id} takes nothing from training rows, so more of them change nothing"
    return None


def curve_parts(
    compiled: Compiled, key: str, shares: Sequence[int], chosen: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Part, ...]:
    """The steps for each share; a share too small for the technique, or that has the rows of another, is left out.
    `chosen` are the options that a search has found on all rows."""
    ready = _chosen(_ready(compiled, key), chosen)
    parts: list[Part] = []
    for share in shares:
        part = _part(compiled, ready, share)
        if part is not None and part.rows not in {earlier.rows for earlier in parts}:
            parts.append(part)
    return tuple(parts)


def curve_plan(plan: Plan, parts: Sequence[Part]) -> Plan:
    """The plan with the curve's steps in place of its own, the models kept."""
    models = tuple(step for step in plan.steps if step.kind == "model")
    return replace(plan, steps=(*models, *(step for part in parts for step in part.steps)))


def _ready(compiled: Compiled, key: str) -> Ready:
    return next(ready for ready in compiled.ready if ready.key == key)


def _chosen(ready: Ready, found: Mapping[str, Any]) -> Ready:
    """The candidate with what a search has found, and nothing left to search."""
    main = ready.draft.main
    chosen = replace(main, options=varied(main.options, found))
    tuned = ready.draft.tuning is not None
    draft = replace(ready.draft, tuning=chosen) if tuned else replace(ready.draft, prompting=chosen)
    return replace(ready, draft=replace(draft, search=None)) if found else ready


def _part(compiled: Compiled, ready: Ready, share: int) -> Part | None:
    data, model = _needs(compiled.plan, ready.key)
    rule = _rule(compiled, share)
    assert compiled.data.rows is not None
    kept = shared_out(compiled.data.rows.train, rule["share"])
    ids = {row.id for row in kept}
    if not kept or len(kept) == len(compiled.data.rows.train):
        return None
    if shots_of(ready.draft) > len(kept):
        return None
    train = tuple(example for example in ready.rendered.examples["train"] if example.id in ids)
    rendered = replace(ready.rendered, examples={**ready.rendered.examples, "train": train})
    smaller = replace(ready, rendered=rendered, options=_options(ready, len(kept), compiled.document))
    rows = make_step(f"data:{share}", "data", {**data.params, "rule": rule}, sources=data.sources)
    inputs = StepInputs(smaller, compiled.spec, compiled.metrics[:1], (model, rows))
    fit = fit_steps(inputs)
    steps = (*fit, *candidate_steps(inputs, (SPLIT,), fit))
    names = {step.id: f"{step.id}:{share}" for step in steps}
    renamed = tuple(
        replace(step, id=names[step.id], needs=tuple(names.get(need, need) for need in step.needs)) for step in steps
    )
    return Part(share / 100, len(kept), (rows, *renamed))


def _needs(plan: Plan, key: str) -> tuple[Step, Step]:
    evaluation = next(step for step in plan.steps if step.candidate == key and step.kind == "evaluate")
    needs = [plan.step(id) for id in evaluation.needs]
    return next(s for s in needs if s.kind == "data"), next(s for s in needs if s.kind == "model")


def _rule(compiled: Compiled, share: int) -> dict[str, Any]:
    spec = compiled.spec
    stratify = answer_of(spec) if spec.prompt.choices is not None else None
    taken = {"of": share / 100, "seed": spec.seeds[0], "group": spec.data.group, "stratify": stratify}
    return {**compiled.data.rule, "share": taken}


def _options(ready: Ready, rows: int, document: Document) -> Any:
    """The recipe for so many rows: fewer rows are passed more often, as a person with no more of them would do."""
    if ready.draft.tuning is None or not isinstance(ready.model, ResolvedModel):
        return ready.options
    problems = Problems(document)
    options = with_recipe(ready.draft, ready.model, rows, problems)
    problems.stop_if_any()
    return options
