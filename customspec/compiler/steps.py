"""Candidates -> steps: what is shared is one step, what differs is a candidate's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customspec.compiler.candidates import Ready
from customspec.compiler.data import ResolvedData, chooses_by_validation
from customspec.compiler.fitting import is_fitted
from customspec.compiler.lineup import Lineup
from customspec.compiler.metrics import ChosenMetric
from customspec.compiler.quantization import quantization_of
from customspec.estimate import COMPARED
from customspec.inputs.models import Unresolved
from customspec.plan import Gate, Kind, Resources, Step, make_step
from customspec.registry import Offer
from customspec.spec import BaseModelSpec, Goal, Spec

EVALUATED = ("validation", "test")


def model_steps(lineup: Lineup) -> dict[BaseModelSpec, Step]:
    """A step for each base model that a running candidate has."""
    found: dict[BaseModelSpec, Step] = {}
    for ready in lineup.running:
        if ready.ref not in found:
            found[ready.ref] = _model_step(ready, f"model:{len(found) + 1}" if found else "model")
    return found


def _model_step(ready: Ready, name: str) -> Step:
    """Resolve a base model: convert a GGUF file once, or verify a folder."""
    if isinstance(ready.model, Unresolved):
        params: dict[str, Any] = {"kind": "unresolved", "digest": None, "label": ready.model.label}
        return make_step(name, "model", params, sources={"label": ready.model.label})
    files = ready.model.known.files
    params = {"kind": files.kind, "digest": files.digest}
    ref = ready.ref.model_dump(exclude_none=True)
    return make_step(
        name, "model", params, sources={"path": str(files.path.resolve()), "label": files.label, "ref": ref}
    )


def data_step(data: ResolvedData) -> Step:
    """Read the files whose digests the plan saw, divide them, keep the rows."""
    sources = {name: [[label, str(path.resolve())] for label, path in paths] for name, paths in data.files.items()}
    return make_step("data", "data", {"splits": dict(data.digests), "rule": dict(data.rule)}, sources=sources)


def own_steps(
    spec: Spec,
    lineup: Lineup,
    metrics: Sequence[ChosenMetric],
    needs: Mapping[BaseModelSpec, tuple[Step, ...]],
    splits: Sequence[str],
) -> tuple[Step, ...]:
    """The steps of every running candidate, in the order in which they are tried. `needs` are, for each base model, its
    step and the data's."""
    own: list[Step] = []
    deciding: list[Step] = []
    for ready in lineup.running:
        earlier = [step for step in deciding if not (step.candidate or "").startswith(f"{ready.draft.id}@")]
        gate = _gate(spec.goal, earlier) if spec.strategy == "ladder" else None
        inputs = StepInputs(ready, spec, metrics, needs[ready.ref], gate)
        finding = _finding_steps(inputs, own)
        steps = candidate_steps(inputs, splits, finding)
        own += [step for step in (*finding, *steps) if step not in own]
        if ready.ships and ready.draft.id != lineup.gauge:
            deciding.append(next(step for step in steps if step.kind == "evaluate"))
    return tuple(own)


def _gate(goal: Goal | None, earlier: Sequence[Step]) -> Gate | None:
    """Closed once an earlier rung's estimate reaches the goal; open on the first rung."""
    if goal is None or not earlier:
        return None
    return Gate(goal.metric, tuple(step.id for step in earlier), goal.at_least, goal.at_most)


@dataclass(frozen=True)
class StepInputs:
    """What all steps of one candidate are made of; `needs` are the model's step and the data's."""

    ready: Ready
    spec: Spec
    metrics: Sequence[ChosenMetric]
    needs: tuple[Step, ...]
    gate: Gate | None = None

    def step(self, id: str, kind: Kind, params: Mapping[str, Any], needs: tuple[Step, ...]) -> Step:
        """A step of the candidate's own, which takes a device, and at most the memory of its candidate's estimate."""
        estimate, files, key = self.ready.estimate, _files(self.ready), self.ready.key
        memory = None if estimate is None else estimate.peak_memory_bytes
        resources = Resources(1, None if memory is None else int(memory))
        return make_step(id, kind, params, needs, gate=self.gate, sources=files, resources=resources, candidate=key)


def candidate_steps(inputs: StepInputs, splits: Sequence[str], finding: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Train, where there is something to train, then evaluate each split. `finding` are the steps that find options."""
    ready, metrics, common = inputs.ready, inputs.metrics, _common(inputs)
    needs = (*inputs.needs, *finding)
    steps: list[Step] = []
    if ready.draft.tuning is not None:
        tuning = _tuning(ready, metrics, selects="validation" in splits)
        train = inputs.step(f"train:{ready.key}", "train", {**common, **tuning}, needs)
        steps.append(train)
        needs = (*inputs.needs, train, *(step for step in finding if step.kind == "fit"))
        common = {**common, "technique": tuning["technique"]}
    for split in splits:
        params = {**common, **_evaluation(ready, metrics), "split": split, "group": inputs.spec.data.group}
        steps.append(inputs.step(f"evaluate:{ready.key}:{split}", "evaluate", params, needs))
    return tuple(steps)


def _finding_steps(inputs: StepInputs, earlier: Sequence[Step]) -> tuple[Step, ...]:
    """What finds options before they are used, in order: the prompt's fit, of each seed its own, and the search, made
    with the first seed; for the others it is among the `earlier` steps.

    A prompt is fitted to the untrained model, so that all trials of a tuning technique train with it; a prompting
    technique is fitted with the options that the search found.
    """
    if inputs.ready.draft.tuning is None:
        found = _search_steps(inputs, earlier)
        return (*found, *fit_steps(inputs, found))
    fit = fit_steps(inputs)
    return (*fit, *_search_steps(inputs, earlier, fit))


def fit_steps(inputs: StepInputs, after: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Let the prompting technique find options of its own on the training rows; none where it does not."""
    if not is_fitted(inputs.ready.draft):
        return ()
    return (inputs.step(f"fit:{inputs.ready.key}", "fit", _common(inputs), (*inputs.needs, *after)),)


def _search_steps(inputs: StepInputs, earlier: Sequence[Step], after: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Try options of the technique on the validation rows; none where none are searched."""
    ready, searched = inputs.ready, inputs.ready.draft.search
    if searched is None:
        return ()
    id = f"search:{ready.draft.id}"
    if made := [step for step in earlier if step.id == id]:
        return tuple(made)
    tuning = {} if ready.draft.tuning is None else _tuning(ready, inputs.metrics, selects=True)
    asked = {**_answering(ready), "metric": _scored(inputs.metrics[0]), "limit": ready.choices.limit}
    space = {option: dict(part) for option, part in searched.space.items()}
    params = {**_common(inputs), **tuning, "asked": asked, "space": space, "trials": searched.trials}
    return (inputs.step(id, "search", params, (*inputs.needs, *after)),)


def evaluated_splits(data: ResolvedData) -> tuple[str, ...]:
    """Validation where there are rows for it, and test."""
    return EVALUATED if chooses_by_validation(data) else ("test",)


def decide_step(spec: Spec, lineup: Lineup, data: Step, measured: Sequence[Step], metric: ChosenMetric) -> Step:
    """Choose among the candidates that ran; each id stands with its first seed. The data has each row's group."""
    shipping = [ready.key for ready in lineup.running if ready.ships]
    gauge = next((ready.key for ready in lineup.running if ready.ships and ready.draft.id == lineup.gauge), None)
    params = {
        "strategy": spec.strategy,
        "goal": None if spec.goal is None else spec.goal.model_dump(exclude_none=True),
        "metric": _scored(metric),
        "order": shipping,
        "base_parameters": {ready.key: ready.total for ready in lineup.running if ready.ships},
        "group": spec.data.group,
        "confidence": spec.confidence,
        "margin": spec.margin,
        "gauge": gauge,
        "skipped": len(lineup.skipped.keys() - {lineup.gauge}),
        "cost": None if spec.cost is None else spec.cost.model_dump(),
    }
    needs = (data, *(step for step in measured if step.candidate in shipping))
    return make_step("decide", "decide", params, needs)


def _common(inputs: StepInputs) -> dict[str, Any]:
    ready = inputs.ready
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
        "on_long": inputs.spec.data.on_long,
        **({"taken": ready.taken} if ready.taken else {}),
        **({} if quantization is None else {"quantization": quantization}),
    }


def _tuning(ready: Ready, metrics: Sequence[ChosenMetric], *, selects: bool) -> dict[str, Any]:
    """The technique with its options, without those that a search finds; and how the state that is kept is chosen."""
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
