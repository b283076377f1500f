"""Candidates -> steps: what is shared is one step, what differs is a candidate's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from customspec.compiler.candidates import Ready
from customspec.compiler.data import ResolvedData, chooses_by_validation
from customspec.compiler.fitting import is_fitted
from customspec.compiler.lineup import Lineup
from customspec.compiler.metrics import ChosenMetric
from customspec.compiler.quantization import quantization_of
from customspec.estimate import COMPARED
from customspec.inputs.models import Unresolved
from customspec.plan import Candidate, Gate, Kind, Resources, Step, make_step
from customspec.registry import Offer
from customspec.spec import BaseModelSpec, Goal, Spec

EVALUATED = ("validation", "test")


def model_step(ref: BaseModelSpec, ready: Ready, name: str) -> Step:
    """Resolve a base model: convert a GGUF file once, or verify a folder."""
    if isinstance(ready.model, Unresolved):
        params: dict[str, Any] = {"kind": "unresolved", "digest": None, "label": ready.model.label}
        return make_step(name, "model", params, sources={"label": ready.model.label})
    files = ready.model.known.files
    params = {"kind": files.kind, "digest": files.digest}
    sources = {"path": str(files.path.resolve()), "label": files.label, "ref": ref.model_dump(exclude_none=True)}
    return make_step(name, "model", params, sources=sources)


def data_step(data: ResolvedData) -> Step:
    """Read the files whose digests the plan saw, divide them, keep the rows."""
    sources = {name: [[label, str(path.resolve())] for label, path in paths] for name, paths in data.files.items()}
    return make_step("data", "data", {"splits": dict(data.digests), "rule": dict(data.rule)}, sources=sources)


def candidate_steps(
    ready: Ready,
    spec: Spec,
    needs: tuple[Step, ...],
    splits: Sequence[str],
    metrics: Sequence[ChosenMetric],
    gate: Gate | None,
    finding: tuple[Step, ...] = (),
) -> tuple[Step, ...]:
    """Train, where there is something to train, then evaluate each split. `needs` are the model's step and the data's;
    `finding` those that find options."""
    common = _common(ready, spec)
    steps: list[Step] = []
    if ready.draft.tuning is None:
        needs = (*needs, *finding)
    else:
        tuning = _tuning(ready, metrics, selects="validation" in splits)
        train = _own(f"train:{ready.key}", "train", ready, {**common, **tuning}, (*needs, *finding), gate)
        steps.append(train)
        needs = (*needs, train, *(step for step in finding if step.kind == "fit"))
        common = {**common, "technique": tuning["technique"]}
    for split in splits:
        params = {**common, **_evaluation(ready, metrics), "split": split, "group": spec.data.group}
        steps.append(_own(f"evaluate:{ready.key}:{split}", "evaluate", ready, params, needs, gate))
    return tuple(steps)


def finding_steps(
    ready: Ready,
    spec: Spec,
    needs: tuple[Step, ...],
    metrics: Sequence[ChosenMetric],
    gate: Gate | None,
    search: Step | None,
) -> tuple[Step, ...]:
    """What finds options before they are used, in order: the prompt's fit, of each seed its own, and the search, made
    with the first seed; `search` is that one, for the others.

    A prompt is fitted to the untrained model, so that all trials of a tuning technique train with it; a prompting
    technique is fitted with the options that the search found.
    """
    if ready.draft.tuning is None:
        found = _searching(ready, spec, needs, metrics, gate, search)
        return (*found, *fit_steps(ready, spec, (*needs, *found), gate))
    fit = fit_steps(ready, spec, needs, gate)
    return (*fit, *_searching(ready, spec, (*needs, *fit), metrics, gate, search))


def fit_steps(ready: Ready, spec: Spec, needs: tuple[Step, ...], gate: Gate | None) -> tuple[Step, ...]:
    """Let the prompting technique find options of its own on the training rows; none where it does not."""
    if not is_fitted(ready.draft):
        return ()
    return (_own(f"fit:{ready.key}", "fit", ready, _common(ready, spec), needs, gate),)


def _searching(
    ready: Ready,
    spec: Spec,
    needs: tuple[Step, ...],
    metrics: Sequence[ChosenMetric],
    gate: Gate | None,
    search: Step | None,
) -> tuple[Step, ...]:
    """Try options of the technique on the validation rows; none where none are searched."""
    searched = ready.draft.search
    if searched is None:
        return ()
    if search is not None:
        return (search,)
    tuning = {} if ready.draft.tuning is None else _tuning(ready, metrics, selects=True)
    asked = {**_answering(ready), "metric": _scored(metrics[0]), "limit": ready.choices.limit}
    space = {option: dict(part) for option, part in searched.space.items()}
    params = {**_common(ready, spec), **tuning, "asked": asked, "space": space, "trials": searched.trials}
    return (_own(f"search:{ready.draft.id}", "search", ready, params, needs, gate),)


def _own(
    id: str, kind: Kind, ready: Ready, params: Mapping[str, Any], needs: tuple[Step, ...], gate: Gate | None
) -> Step:
    """A step of the candidate's own, which takes a device."""
    files = _files(ready)
    return make_step(id, kind, params, needs, gate=gate, sources=files, resources=Resources(1), candidate=ready.key)


def evaluated_splits(data: ResolvedData) -> tuple[str, ...]:
    """Validation where there are rows for it, and test."""
    return EVALUATED if chooses_by_validation(data) else ("test",)


def gate_of(goal: Goal | None, earlier: Sequence[Step]) -> Gate | None:
    """Closed once an earlier rung's estimate reaches the goal; open on the first rung."""
    if goal is None or not earlier:
        return None
    return Gate(goal.metric, tuple(step.id for step in earlier), goal.at_least, goal.at_most)


def candidate_of(ready: Ready, lineup: Lineup) -> Candidate:
    """What the plan shows of a candidate."""
    main = ready.draft.main
    return Candidate(
        key=ready.key,
        id=ready.draft.id,
        technique=main.technique.name,
        family=main.technique.family,
        seed=ready.seed,
        distribution=main.offer.distribution,
        version=main.offer.version,
        trainable_parameters=ready.trainable,
        total_parameters=ready.total,
        estimate=ready.estimate.to_json(),
        gauge=ready.draft.id == lineup.gauge,
        skipped=lineup.skipped.get(ready.draft.id),
    )


def decide_step(spec: Spec, lineup: Lineup, data: Step, measured: Sequence[Step], metric: ChosenMetric) -> Step:
    """Choose among the candidates that ran; each id stands with its first seed. The data has each row's group."""
    shipping = [ready.key for ready in lineup.running if ready.ships]
    gauge = next((ready.key for ready in lineup.running if ready.ships and ready.draft.id == lineup.gauge), None)
    params = {
        "strategy": spec.strategy,
        "goal": None if spec.goal is None else spec.goal.model_dump(exclude_none=True),
        "metric": _scored(metric),
        "order": shipping,
        "group": spec.data.group,
        "confidence": spec.confidence,
        "margin": spec.margin,
        "gauge": gauge,
        "cost": None if spec.cost is None else spec.cost.model_dump(),
    }
    needs = (data, *(step for step in measured if step.candidate in shipping))
    return make_step("decide", "decide", params, needs)


def _common(ready: Ready, spec: Spec) -> dict[str, Any]:
    prompting, quantization = ready.draft.prompting, quantization_of(ready.draft)
    options: dict[str, Any] = {}
    if prompting is not None:
        # what a file holds counts, not where it lies
        options = {**prompting.options.model_dump(mode="json"), **prompting.files}
        options = _unsearched(options, ready) if ready.draft.tuning is None else options
    return {
        "prompt": ready.rendered.prompt.model_dump(include={"system", "user", "answer", "messages"}),
        "prompting": None if prompting is None else {**_named(prompting.offer), "options": options},
        "technique": None,
        "seed": ready.seed,
        "on_long": spec.data.on_long,
        **({} if quantization is None else {"quantization": quantization}),
    }


def _tuning(ready: Ready, metrics: Sequence[ChosenMetric], *, selects: bool) -> dict[str, Any]:
    """The technique with its options, those left out that a search finds; how the state that is kept is chosen."""
    assert ready.draft.tuning is not None
    options = ready.options.model_dump(mode="json") if ready.options is not None else dict(ready.draft.entry.options)
    if ready.draft.search is not None:
        given = ready.draft.tuning.options.model_dump(mode="json", exclude_none=True)
        options = _unsearched(given, ready)  # the recipe fills the rest in for each combination
    return {
        "technique": {**_named(ready.draft.tuning.offer), "options": options},
        "max_steps": ready.choices.max_steps,
        "selection": {**_answering(ready), "metric": _scored(metrics[0]), "rows": COMPARED} if selects else None,
    }


def _unsearched(options: Mapping[str, Any], ready: Ready) -> dict[str, Any]:
    searched = ready.draft.search
    return {option: value for option, value in options.items() if searched is None or option not in searched.space}


def _files(ready: Ready) -> dict[str, Any]:
    prompting = ready.draft.prompting
    if prompting is None or not prompting.files:
        return {}
    return {"files": {option: getattr(prompting.options, option) for option in prompting.files}}


def _evaluation(ready: Ready, metrics: Sequence[ChosenMetric]) -> Mapping[str, Any]:
    return {**_answering(ready), "metrics": [_scored(metric) for metric in metrics], "limit": ready.choices.limit}


def _answering(ready: Ready) -> Mapping[str, Any]:
    """How the model is made to answer: among choices, or freely."""
    return {
        "choices": None if ready.rendered.choices is None else list(ready.rendered.choices),
        "generation": None if ready.generation is None else ready.generation.model_dump(mode="json"),
    }


def _named(offer: Offer) -> dict[str, Any]:
    """Who computes: another version may compute something else."""
    return {"name": offer.name, "distribution": offer.distribution, "version": offer.version}


def _scored(metric: ChosenMetric) -> dict[str, Any]:
    return {"id": metric.id, **_named(metric.offer), "options": metric.options.model_dump(mode="json")}
