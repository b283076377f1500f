"""Document + Registry -> Spec -> Plan: everything checked, nothing run, no weight read, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from customspec.compiler.candidates import Choices, Ready, make_ready
from customspec.compiler.costs import Shared, comparison_notes
from customspec.compiler.data import ResolvedData, resolve_data
from customspec.compiler.entries import Draft, check_later_work, read_entries
from customspec.compiler.files import resolve_files
from customspec.compiler.fitting import fit_notes
from customspec.compiler.gauge import check_gauge
from customspec.compiler.goal import PlannedClaim, check_goal, planned_claim
from customspec.compiler.lineup import Lineup, line_up
from customspec.compiler.local_files import LocalFiles
from customspec.compiler.metrics import ChosenMetric, read_metrics
from customspec.compiler.models import blaming_model, model_notes, resolve_model
from customspec.compiler.overlap import check_overlap, overlap_notes
from customspec.compiler.problems import Problems
from customspec.compiler.room import make_room
from customspec.compiler.secrets import check_secrets
from customspec.compiler.steps import (
    candidate_of,
    candidate_steps,
    data_step,
    decide_step,
    evaluated_splits,
    finding_steps,
    gate_of,
    model_step,
)
from customspec.compiler.validation import validate
from customspec.decide.samples import Measure
from customspec.errors import Code
from customspec.inputs.digests import Digests
from customspec.inputs.models import Unresolved
from customspec.inputs.paths import Roots
from customspec.inputs.remembered import Remembered
from customspec.plan import Plan, Step, digest
from customspec.registry import Registry
from customspec.sandbox.client import worker
from customspec.source import Document, KeyPath
from customspec.spec import BaseModelSpec, Spec


@dataclass(frozen=True)
class Compiled:
    """A spec that can run, and its plan. `unresolved` names what is on a hub and not here yet."""

    spec: Spec
    plan: Plan
    ready: tuple[Ready, ...]
    data: ResolvedData
    unresolved: tuple[str, ...]
    claim: PlannedClaim | None
    """What a run will claim of the goal; None without one, and while the test rows are not there."""
    metrics: tuple[ChosenMetric, ...]
    document: Document
    notes: tuple[str, ...] = ()
    """What is no error, and better known."""


def read_spec(document: Document, registry: Registry) -> tuple[Spec, tuple[Draft, ...]]:
    """Both passes of validation. Raises SpecError with every problem of either."""
    problems = Problems(document)
    spec = validate(Spec, document.data, problems)
    drafts = read_entries(document.data, registry, problems)
    check_secrets(document.data, problems)
    if spec is not None:
        check_later_work(drafts, problems)
        check_gauge(spec, drafts, problems)
    problems.stop_if_any()
    assert spec is not None
    return spec, drafts


def compile_document(
    document: Document, registry: Registry, *, roots: Roots, cache: Path, choices: Choices | None = None
) -> Compiled:
    """The spec and its plan. Raises SpecError.

    `roots` are the spec's folder and what is allowed beside it; `cache` is the store's folder.
    """
    spec, drafts = read_spec(document, registry)
    remembered = Remembered(cache / "memo" / "texts", str(Path(document.file).absolute()))
    if not remembered:
        worker().start()  # it boots while the data is read
    try:
        local = LocalFiles(roots, cache, Digests(cache), remembered)
        return _compile(document, spec, drafts, registry, local, choices or Choices())
    finally:
        remembered.save()


def _compile(
    document: Document,
    spec: Spec,
    drafts: tuple[Draft, ...],
    registry: Registry,
    local: LocalFiles,
    choices: Choices,
) -> Compiled:
    problems, remembered = Problems(document), local.remembered
    drafts = resolve_files(_only(drafts, choices.only, document), local, problems)
    metrics = read_metrics(spec, registry, problems)
    measure = None if problems else Measure.of(metrics[0].metric, metrics[0].id)
    before = len(problems)
    data = resolve_data(spec, local, problems)
    if data.given is not None and len(problems) == before:
        check_overlap(spec, data.given, problems, remembered)
    models = {
        ref: resolve_model(ref, at, choices.machine, local, problems) for ref, at in _model_places(spec, drafts).items()
    }
    ready: list[Ready] = []
    shared = Shared(remembered)
    for draft in drafts:
        with blaming_model(draft, problems):
            made = make_ready(draft, spec, data, models, problems, choices, shared)
            ready += (one for one in made if one.estimate is not None)  # all that is tokenized is tokenized here
    ready, smaller = make_room(ready, problems)
    lineup = line_up(spec, ready, models[spec.base_model], problems)
    claim = None if measure is None else planned_claim(spec, data, measure, lineup.choosable, choices.limit)
    if claim is not None and spec.strategy == "ladder" and choices.limit is None:
        check_goal(claim, problems)
    problems.stop_if_any()
    plan = _plan(document, spec, lineup, data, metrics, choices.sources)
    hub = sorted({model.label for model in models.values() if isinstance(model, Unresolved)})
    overlapping = () if data.given is None else overlap_notes(spec, data.given, remembered)
    of_candidates = (*comparison_notes(ready), *fit_notes(drafts), *smaller, *shared.length_budget.notes())
    notes = (*model_notes(models.values()), *overlapping, *of_candidates)
    return Compiled(spec, plan, lineup.ordered, data, (*hub, *data.unresolved), claim, metrics, document, notes)


def _only(drafts: tuple[Draft, ...], only: Sequence[str], document: Document) -> tuple[Draft, ...]:
    known = {draft.id for draft in drafts}
    problems = Problems(document)
    for name in only:
        if name not in known:
            message = f"no candidate `{name}`; there are: {', '.join(sorted(known))}"
            problems.add(Code.NOTHING_TO_RUN, ("techniques",), message)
    problems.stop_if_any()
    return tuple(draft for draft in drafts if not only or draft.id in only)


def _model_places(spec: Spec, drafts: Sequence[Draft]) -> dict[BaseModelSpec, KeyPath]:
    """Each different base model once, with the first place that names it."""
    places: dict[BaseModelSpec, KeyPath] = {spec.base_model: ("base_model",)}
    for draft in drafts:
        if draft.entry.base_model is not None:
            places.setdefault(draft.entry.base_model, (*draft.at, "base_model"))
    return places


def _plan(
    document: Document,
    spec: Spec,
    lineup: Lineup,
    data: ResolvedData,
    metrics: tuple[ChosenMetric, ...],
    sources: Mapping[str, str],
) -> Plan:
    rows, splits = data_step(data), evaluated_splits(data)
    models: dict[BaseModelSpec, Step] = {}
    own: list[Step] = []
    searches: dict[str, Step] = {}
    deciding: list[Step] = []
    for ready in lineup.running:
        if ready.ref not in models:
            models[ready.ref] = model_step(ready.ref, ready, "model" if not models else f"model:{len(models) + 1}")
        earlier = [step for step in deciding if not (step.candidate or "").startswith(f"{ready.draft.id}@")]
        gate = gate_of(spec.goal, earlier) if spec.strategy == "ladder" else None
        known = searches.get(ready.draft.id)
        needs = (models[ready.ref], rows)
        finding = finding_steps(ready, spec, needs, metrics, gate, known)
        own += [step for step in finding if step is not known]
        for step in finding:
            if step.kind == "search":
                searches[ready.draft.id] = step
        steps = candidate_steps(ready, spec, needs, splits, metrics, gate, finding)
        own += steps
        if ready.ships and ready.draft.id != lineup.gauge:
            deciding.append(next(step for step in steps if step.kind == "evaluate"))
    decide = decide_step(spec, lineup, rows, own, metrics[0])
    return Plan(
        name=spec.name,
        spec_digest=digest(document.data),
        strategy=spec.strategy,
        goal=None if spec.goal is None else spec.goal.model_dump(exclude_none=True),
        metrics=tuple(metric.id for metric in metrics),
        candidates=tuple(candidate_of(ready, lineup) for ready in lineup.ordered),
        steps=(*models.values(), rows, *own, decide),
        budget=None if spec.budget is None else spec.budget.model_dump(exclude_none=True),
        cost=None if spec.cost is None else spec.cost.model_dump(),
        sources=sources,
    )
