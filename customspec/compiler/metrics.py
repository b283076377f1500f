"""Which metrics a run reports, and whether they and the goal fit the task."""

from __future__ import annotations

from customspec.compiler.findings import Findings
from customspec.errors import Code, Exit, PluginError
from customspec.hookspecs import Metric
from customspec.registry import Registry
from customspec.source import KeyPath
from customspec.spec import Goal, Spec
from customspec.suggest import NAMES, closest

DEFAULTS = {"classification": ("accuracy", "macro_f1"), "generation": ("token_f1", "exact_match")}


def read_metrics(spec: Spec, registry: Registry, findings: Findings) -> tuple[str, ...]:
    """The names of the metrics to report, the goal's first. Problems go to `findings`."""
    task = "classification" if spec.prompt.choices is not None else "generation"
    named: list[tuple[str, KeyPath]] = []
    if spec.goal is not None:
        named.append((spec.goal.metric, ("goal", "metric")))
    named += [(name, ("metrics", index)) for index, name in enumerate(spec.metrics or ())]
    if spec.metrics is None:
        named += [(name, ()) for name in DEFAULTS[task]]
    for name, at in named:
        metric = _metric(name, at, registry, findings)
        if metric is None:
            continue
        _check_task(metric, task, at, findings)
        if spec.goal is not None and at == ("goal", "metric"):
            _check_range(metric, spec.goal, findings)
    return tuple(dict.fromkeys(name for name, _ in named))


def _metric(name: str, at: KeyPath, registry: Registry, findings: Findings) -> Metric | None:
    known = registry.names("metric")
    if name not in known:
        nearest = closest(name, known, NAMES)
        hint = f"did you mean `{nearest}`?" if nearest else f"installed: {', '.join(known)}"
        findings.add(Code.UNKNOWN_METRIC, at, f"no metric `{name}` is installed", hint=hint)
        return None
    try:
        return registry.metric(name)
    except PluginError as unusable:
        findings.add(unusable.code, at, str(unusable), exit=Exit.ENVIRONMENT)
        return None


def _check_task(metric: Metric, task: str, at: KeyPath, findings: Findings) -> None:
    if metric.task not in {task, "any"}:
        reason = "the prompt has no `choices`" if task == "generation" else "the prompt has `choices`"
        message = f"metric `{metric.name}` is for {metric.task}, but {reason}"
        findings.add(Code.METRIC_TASK, at, message, hint=f"for {task}: {', '.join(DEFAULTS[task])}")


def _check_range(metric: Metric, goal: Goal, findings: Findings) -> None:
    bound = "at_least" if goal.at_least is not None else "at_most"
    value = goal.at_least if goal.at_least is not None else goal.at_most
    if value is not None and not metric.lowest <= value <= metric.highest:
        message = f"`{metric.name}` lies between {metric.lowest:g} and {metric.highest:g}; {value:g} is outside"
        hint = f"did you mean {value / 100:g}?" if metric.highest == 1 < value <= 100 else None
        findings.add(Code.GOAL_RANGE, ("goal", bound), message, hint=hint)
    elif (bound == "at_least") != metric.higher_is_better:
        better = "higher is better: use `at_least`" if metric.higher_is_better else "lower is better: use `at_most`"
        findings.add(Code.GOAL_RANGE, ("goal", bound), f"for `{metric.name}`, {better}", key=True)
