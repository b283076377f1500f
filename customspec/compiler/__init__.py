"""Document + Registry -> Spec -> Plan: everything checked, nothing run, no weight read, no torch.

The spec is read        limits, reading, validation, mending, wording, suggesting, renames, repair, secrets;
                        entries, search, quantization, metrics
What it names is found  local_files, option_files, data, overlap, conflicts, models
Candidates are made     candidates, prompting, template_faults, columns, demonstrations, judging, fitting,
                        new_tokens, unread
What they will cost     costs, counting, lengths, memory_fit
The plan is made        gauge, goal, budget, lineup, steps, curve
Beside it               problems (what is wrong, with its place); locking, packages, difference; advising
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from customspec.compiler.candidates import Choices, Ready, Resolved, make_ready, render
from customspec.compiler.conflicts import conflict_notes
from customspec.compiler.costs import Shared, comparison_notes
from customspec.compiler.data import ResolvedData, resolve_data
from customspec.compiler.entries import Draft
from customspec.compiler.fitting import fit_notes
from customspec.compiler.goal import check_goal, planned_claim
from customspec.compiler.lineup import Lineup, line_up
from customspec.compiler.local_files import LocalFiles
from customspec.compiler.memory_fit import make_room
from customspec.compiler.metrics import ChosenMetric, read_metrics
from customspec.compiler.models import ResolvedModel, blaming_model, model_notes, resolve_model
from customspec.compiler.option_files import resolve_files
from customspec.compiler.overlap import check_overlap, overlap_notes, prompts_of
from customspec.compiler.problems import Problems
from customspec.compiler.reading import Understood, understand
from customspec.compiler.steps import data_step, decide_step, evaluated_splits, model_steps, own_steps
from customspec.compiler.unread import unread_notes
from customspec.decide.claim import PlannedClaim
from customspec.decide.samples import Measure
from customspec.errors import Code, CustomspecError, SpecError
from customspec.inputs.digests import Digests
from customspec.inputs.models import Unresolved
from customspec.inputs.paths import Roots
from customspec.inputs.remembered import Remembered
from customspec.plan import Plan, digest
from customspec.registry import Registry
from customspec.sandbox.client import worker
from customspec.source import Document, KeyPath
from customspec.spec import BaseModelSpec, Prompt, Spec
from customspec.suggest import closest, did_you_mean


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
    """Sentences that are no errors, and that the person should know."""


def read_spec(document: Document, registry: Registry) -> tuple[Spec, tuple[Draft, ...]]:
    """Both passes of validation. Raises SpecError with every problem of either."""
    problems = Problems(document)
    understood = understand(registry, problems)
    problems.stop_if_any()
    assert understood is not None
    return understood.spec, understood.drafts


def compile_document(
    document: Document, registry: Registry, *, roots: Roots, cache: Path, choices: Choices | None = None
) -> Compiled:
    """The spec and its plan. Raises SpecError with every problem that is no consequence of another.

    `roots` are the spec's folder and what is allowed beside it; `cache` is the store's folder.
    """
    problems = Problems(document)
    understood = understand(registry, problems)
    if understood is None:
        problems.stop_if_any()
    assert understood is not None
    remembered = Remembered(cache / "memo" / "texts", str(Path(document.file).absolute()))
    if not remembered:
        worker().start()  # it boots while the data is read
    try:
        local = LocalFiles(roots, cache, Digests(cache), remembered)
        return _compile(understood, registry, local, choices or Choices(), problems)
    except SpecError:
        raise
    except CustomspecError:
        problems.stop_if_any()  # a plugin that cannot be used hides nothing that was found before
        raise
    finally:
        remembered.save()


def _compile(
    understood: Understood, registry: Registry, local: LocalFiles, choices: Choices, problems: Problems
) -> Compiled:
    document, spec, shared = problems.document, understood.spec, Shared(local.remembered)
    drafts = resolve_files(_only(understood.drafts, choices.only, problems), local, problems)
    metrics, measure = _metrics(spec, registry, problems)
    patches = [draft.entry.prompt for draft in drafts] if understood.whole else [] if understood.own else [None]
    prompts = prompts_of(spec.prompt, patches)
    resolved = _resolve(spec, drafts, prompts, choices, local, problems)
    made = _candidates(drafts, resolved, choices, shared, problems)
    if len(problems) and understood.plain:
        render(None, resolved, shared, problems)  # for an entry that was left out
    ready, smaller = make_room(made, problems)
    lineup = _line_up(understood, ready, resolved, problems)
    claim = None
    if measure is not None and (lineup or (resolved.data.rows and resolved.data.rows.validation)):
        candidates = 1 if lineup is None else lineup.choosable
        claim = planned_claim(spec, resolved.data, measure, candidates, choices.limit)
    if claim is not None and spec.strategy == "ladder" and choices.limit is None:
        check_goal(claim, problems)
    problems.stop_if_any()
    assert lineup is not None
    plan = _plan(document, spec, resolved.data, lineup, metrics, sources=choices.sources)
    hub = sorted({model.label for model in resolved.models.values() if isinstance(model, Unresolved)})
    unresolved = (*hub, *resolved.data.unresolved)
    of_candidates = (*comparison_notes(ready), *fit_notes(drafts), *smaller, *shared.length_budget.notes())
    notes = (*_notes(resolved, prompts, local.remembered), *unread_notes(ready), *of_candidates)
    return Compiled(spec, plan, lineup.ordered, resolved.data, unresolved, claim, metrics, document, notes)


def _resolve(
    spec: Spec,
    drafts: Sequence[Draft],
    prompts: Sequence[Prompt],
    choices: Choices,
    local: LocalFiles,
    problems: Problems,
) -> Resolved:
    """The data and every model that the spec names, found and read."""
    data = resolve_data(spec, local, problems)
    in_doubt = problems.doubts("prompt.system", "prompt.user", "prompt.messages", "data.allow_overlap")
    if data.given is not None and data.comparable and prompts and not in_doubt:
        check_overlap(spec, prompts, data.given, problems, local.remembered)
    places = _model_places(spec, drafts)
    models: dict[BaseModelSpec, ResolvedModel | Unresolved | None] = {}
    for ref, at in places.items():
        unsure = at == ("base_model",) and _is_unsure(ref, problems)
        models[ref] = None if unsure else resolve_model(ref, at, choices.machine, local, problems)
    return Resolved(spec, data, models)


def _is_unsure(model: BaseModelSpec, problems: Problems) -> bool:
    """Whether it is in doubt which model the spec names."""
    keys = model.model_fields_set | ({"revision"} if model.hub else set())
    return problems.doubts(*(f"base_model.{key}" for key in keys))


def _candidates(
    drafts: Sequence[Draft], resolved: Resolved, choices: Choices, shared: Shared, problems: Problems
) -> list[Ready]:
    """Every draft's candidates. They are estimated here, since that tokenizes, and what fails then is the draft's."""
    ready: list[Ready] = []
    for draft in drafts:
        with blaming_model(draft, problems):
            made = make_ready(draft, resolved, choices, shared, problems)
            ready += (one for one in made if one.estimate is not None)
    return ready


def _line_up(understood: Understood, ready: Sequence[Ready], resolved: Resolved, problems: Problems) -> Lineup | None:
    """The candidates in order; None where not all are there to be compared."""
    spec = understood.spec
    are_all = understood.whole and {one.draft.id for one in ready} == {draft.id for draft in understood.drafts}
    if len(problems) and (not are_all or problems.doubts("base_model", "data", "prompt", "generation", "gauge")):
        return None
    return line_up(spec, ready, resolved.models[spec.base_model], problems)


def _metrics(spec: Spec, registry: Registry, problems: Problems) -> tuple[tuple[ChosenMetric, ...], Measure | None]:
    """The metrics, and how the first is measured; None where something is wrong with them or the goal."""
    before = len(problems)
    metrics = read_metrics(spec, registry, problems)
    wrong = len(problems) > before or problems.doubts("metrics", "goal", "prompt.choices", "strategy", "confidence")
    return metrics, None if wrong else Measure.of(metrics[0].metric, metrics[0].id)


def _notes(resolved: Resolved, prompts: Sequence[Prompt], remembered: Remembered) -> tuple[str, ...]:
    """What the person should know of the models and the data."""
    given = resolved.data.given
    overlapping = () if given is None else overlap_notes(prompts, given, remembered)
    conflicting = () if given is None else conflict_notes(prompts, given, remembered)
    return (*model_notes(resolved.models.values()), *overlapping, *conflicting)


def _only(drafts: tuple[Draft, ...], only: Sequence[str], found: Problems) -> tuple[Draft, ...]:
    known = {draft.id for draft in drafts}
    problems = Problems(found.document)
    for name in only if not len(found) else ():  # else it may be an entry that is left out
        if name not in known:
            message = f"no candidate `{name}`; there are: {', '.join(sorted(known))}"
            meant = closest(name, known)
            hint = did_you_mean(meant)
            problems.add(Code.NOTHING_TO_RUN, ("techniques",), message, hint=hint)
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
    data: ResolvedData,
    lineup: Lineup,
    metrics: tuple[ChosenMetric, ...],
    *,
    sources: Mapping[str, str],
) -> Plan:
    rows, models = data_step(data), model_steps(lineup)
    needs = {ref: (model, rows) for ref, model in models.items()}
    own = own_steps(spec, lineup, metrics, needs, evaluated_splits(data))
    decide = decide_step(spec, lineup, rows, own, metrics[0])
    return Plan(
        name=spec.name,
        spec_digest=digest(document.data),
        strategy=spec.strategy,
        goal=None if spec.goal is None else spec.goal.model_dump(exclude_none=True),
        metrics=tuple(metric.id for metric in metrics),
        candidates=lineup.candidates(),
        steps=(*models.values(), rows, *own, decide),
        budget=None if spec.budget is None else spec.budget.model_dump(exclude_none=True),
        cost=None if spec.cost is None else spec.cost.model_dump(),
        sources=sources,
    )
