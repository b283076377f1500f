"""Which metrics a run reports, with which options, and whether they and the goal fit the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from customspec.compiler.problems import Problems
from customspec.compiler.renames import certain_rename
from customspec.compiler.validation import not_a_mapping, validate
from customspec.containment import plugin_code
from customspec.errors import Code, Exit, PluginError
from customspec.hookspecs import Metric
from customspec.registry import Offer, Registry, check_extra, metric_options
from customspec.source import KeyPath
from customspec.spec import Goal, MetricEntry, Options, Spec
from customspec.suggest import NAMES, closest, did_you_mean

DEFAULTS = {"classification": ("accuracy", "macro_f1"), "generation": ("token_f1", "exact_match")}
GOAL: KeyPath = ("goal", "metric")


@dataclass(frozen=True)
class ChosenMetric:
    """A metric with its validated options, who offers it, and the id under which it is reported."""

    id: str
    metric: Metric
    options: Options
    offer: Offer


@dataclass(frozen=True)
class _Named:
    """An entry with its id, and where its name stands; () for a default."""

    id: str
    entry: MetricEntry
    at: KeyPath


def read_metrics(spec: Spec, registry: Registry, problems: Problems) -> tuple[ChosenMetric, ...]:
    """The metrics to report, the goal's first. What is wrong is added to `problems`."""
    before, task = len(problems), _task(spec, problems)
    named = _named(spec, task, problems)
    unclear = problems.doubts("metrics") or len(problems) > before
    measured = {one.id: found for one in named if (found := _measured(one, task, registry, problems))}
    if spec.goal is None or problems.doubts("goal"):
        if spec.margin is not None and measured and not unclear and not problems.doubts("goal", "prompt.choices"):
            _check_margin(next(iter(measured.values())).metric, spec.margin, problems)
        return tuple(measured.values())
    wanted = spec.goal.metric
    is_named = wanted in {one.id for one in named} or unclear
    if not is_named and (asked := _asked(wanted, named, task, registry, problems)):
        measured[wanted] = asked
    if wanted in measured:
        _check_range(measured[wanted].metric, spec.goal, problems)
    return tuple(sorted(measured.values(), key=lambda one: one.id != wanted))


def _task(spec: Spec, problems: Problems) -> str | None:
    """The task; None where it is not known whether the prompt has choices."""
    if problems.doubts("prompt.choices"):
        return None
    return "classification" if spec.prompt.choices is not None else "generation"


def _named(spec: Spec, task: str | None, problems: Problems) -> list[_Named]:
    """The spec's entries, or the task's usual metrics where there are none; what names no metric is left out."""
    if spec.metrics is None:
        names = () if task is None or problems.doubts("metrics") else DEFAULTS[task]
        return [_Named(name, MetricEntry.model_validate({name: {}}), ()) for name in names]
    named: dict[str, _Named] = {}
    for index, entry in enumerate(spec.metrics):
        at: KeyPath = ("metrics", index)
        keys = list(entry.model_extra or ())
        if len(keys) != 1:
            _not_one(keys, at, problems)
            continue
        bare = isinstance(problems.document.data["metrics"][index], str)
        one = _Named(entry.id or entry.plugin, entry, at if bare else (*at, entry.plugin))
        if named.setdefault(one.id, one) is not one:
            _used_twice(one, named[one.id], (*at, "id") if entry.id else one.at, problems)
    return list(named.values())


def _not_one(keys: Sequence[str], at: KeyPath, problems: Problems) -> None:
    found = " and ".join(f"`{key}`" for key in keys) or "none"
    hint = "options are indented under the metric; beside it stands `id` alone"
    hint = hint if keys else "name one, with its options under it: {id: NAME, accuracy: {}}"
    problems.add(Code.METRIC_ENTRY, at, f"an entry names exactly one metric; found {found}", hint=hint)


def _used_twice(one: _Named, first: _Named, at: KeyPath, problems: Problems) -> None:
    place = problems.document.locate(first.at)
    message = f"the id `{one.id}` is already used at {place.line}:{place.column}"
    key = at[-1] == one.entry.plugin
    problems.add(Code.DUPLICATE_ID, at, message, hint="give one of them an `id` of its own", key=key)


def _measured(one: _Named, task: str | None, registry: Registry, problems: Problems) -> ChosenMetric | None:
    """One entry, understood; None with problems added."""
    name, raw = one.entry.plugin, one.entry.options
    metric = _metric(name, one.at, task, registry, problems)
    if metric is None:
        return None
    model = metric_options(metric)
    if not isinstance(raw, dict):
        not_a_mapping(f"`{name}`", raw, tuple(model.model_fields), one.at, problems)
        return None
    offer = registry.offer("metric", name)
    with plugin_code(offer.item):  # options may check themselves in ways of their own
        options = validate(model, raw, problems, one.at, f"metric `{name}`")
    return None if options is None else ChosenMetric(one.id, metric, options, offer)


def _asked(
    name: str, named: Sequence[_Named], task: str | None, registry: Registry, problems: Problems
) -> ChosenMetric | None:
    """The goal's metric, which has no entry: with its defaults, if it has all that it needs."""
    metric = _metric(name, GOAL, task, registry, problems)
    if metric is None:
        return None
    model = metric_options(metric)
    needed = [option for option, field in model.model_fields.items() if field.is_required()]
    if needed:
        others = [f"`{one.id}`" for one in named if one.entry.plugin == name]
        message = f"metric `{name}` needs the option `{needed[0]}`, which an entry of `metrics` gives"
        hint = f"name it by its id: {' or '.join(others)}" if others else f"add `{name}` with its options to `metrics`"
        problems.add(Code.MISSING_KEY, GOAL, message, hint=hint)
        return None
    offer = registry.offer("metric", name)
    with plugin_code(offer.item):
        return ChosenMetric(name, metric, model(), offer)


def _metric(name: str, at: KeyPath, task: str | None, registry: Registry, problems: Problems) -> Metric | None:
    known, key = registry.names("metric"), at[-1:] == (name,)
    if name not in known:
        rename = certain_rename(problems.document, at[:-1], name, known, {}) if key else None
        message = f"no metric `{name}` is installed"
        problems.add(Code.UNKNOWN_METRIC, at, message, hint=_hint(name, known), key=key, rename=rename)
        return None
    fits = True
    try:
        metric = registry.metric(name)
        fits = _fits(metric, at, task, problems, key=key)
        check_extra("metric", metric)
    except PluginError as unusable:
        if fits:  # else nobody is sent to install what the task refuses
            problems.add(unusable.code, at, str(unusable), hint=unusable.hint, exit=Exit.ENVIRONMENT, key=key)
        return None
    return metric


def _fits(metric: Metric, at: KeyPath, task: str | None, problems: Problems, *, key: bool) -> bool:
    """Whether the metric is for the task, as far as that is known; else a problem is added."""
    if task is None or metric.task in {task, "any"}:
        return True
    reason = "the prompt has no `choices`" if task == "generation" else "the prompt has `choices`"
    message = f"metric `{metric.name}` is for {metric.task}, but {reason}"
    problems.add(Code.METRIC_TASK, at, message, hint=f"for {task}: {', '.join(DEFAULTS[task])}", key=key)
    return False


def _hint(name: str, known: Sequence[str]) -> str | None:
    nearest = closest(name, known, NAMES)
    return did_you_mean(nearest, f"installed: {', '.join(known)}")


def _check_range(metric: Metric, goal: Goal, problems: Problems) -> None:
    bound = "at_least" if goal.at_least is not None else "at_most"
    value = goal.at_least if goal.at_least is not None else goal.at_most
    if value is not None and not metric.lowest <= value <= metric.highest:
        is_percent = metric.highest == 1 and 2 < value <= 100  # 1.5 is rather a slip of another kind
        hint = f"did you mean {value / 100:g}?" if is_percent else f"for instance {_within(metric)}"
        problems.add(Code.GOAL_RANGE, ("goal", bound), f"{_range(metric)}; {value:g} is outside", hint=hint)
    elif (bound == "at_least") != metric.higher_is_better:
        better, other = ("higher", "at_least") if metric.higher_is_better else ("lower", "at_most")
        message, hint = f"for `{metric.name}`, {better} is better", f"write `{other}: {value:g}`"
        problems.add(Code.GOAL_RANGE, ("goal", bound), message, hint=hint, key=True)


def _range(metric: Metric) -> str:
    """Which values the metric has, said of ends that it has."""
    if isfinite(metric.lowest) and isfinite(metric.highest):
        return f"`{metric.name}` lies between {metric.lowest:g} and {metric.highest:g}"
    # one that is infinite both ways is never outside
    end = f"{metric.lowest:g} or more" if isfinite(metric.lowest) else f"{metric.highest:g} or less"
    return f"`{metric.name}` is {end}"


def _within(metric: Metric) -> str:
    """A value that a goal may have."""
    bound = "at_least" if metric.higher_is_better else "at_most"
    share = 0.8 if metric.higher_is_better else 0.2
    whole = metric.highest - metric.lowest
    return f"`{bound}: {metric.lowest + share * whole if isfinite(whole) else metric.lowest + 1:g}`"


def _check_margin(metric: Metric, margin: float, problems: Problems) -> None:
    whole = metric.highest - metric.lowest
    if margin >= whole:
        message = f"`margin` must be below {whole:g}, the whole range of `{metric.name}`; found {margin:g}"
        hint = f"did you mean {margin / 100:g}?" if whole == 1 and margin < 100 else f"for instance {whole / 50:g}"
        problems.add(Code.GOAL_RANGE, ("margin",), message, hint=hint)
