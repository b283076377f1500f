"""The gauge: a first entry that prompts a larger model of its own, to see whether models can do the task at all."""

from __future__ import annotations

from collections.abc import Sequence

from customspec.compiler.candidates import Ready
from customspec.compiler.entries import Draft
from customspec.compiler.models import ResolvedModel
from customspec.compiler.problems import Problems
from customspec.errors import Code
from customspec.inputs.models import Unresolved
from customspec.spec import Spec

FIRST = ("techniques", 0)


def may_gauge(spec: Spec, draft: Draft) -> bool:
    """Whether an entry can be the gauge; the size of its model is looked at later."""
    return draft.at == FIRST and draft.tuning is None and draft.entry.base_model not in (None, spec.base_model)


def gauge_of(spec: Spec, ready: Sequence[Ready], base: ResolvedModel | Unresolved | None) -> str | None:
    """The gauge's id; None where there is none, or where the spec makes it a candidate as the others are."""
    first = next((one for one in ready if may_gauge(spec, one.draft)), None)
    if first is None or spec.gauge == "candidate":
        return None
    size = base.known.header.total_parameters if isinstance(base, ResolvedModel) else None
    smaller = first.total is not None and size is not None and first.total <= size
    return None if smaller else first.draft.id


def check_gauge(spec: Spec, drafts: Sequence[Draft], problems: Problems) -> None:
    """Add a problem where `gauge` is set and no entry can be one."""
    if "gauge" not in spec.model_fields_set or any(may_gauge(spec, draft) for draft in drafts):
        return
    message = "`gauge` speaks of a first entry of `techniques` that prompts a `base_model` of its own; there is none"
    hint = "remove it, or begin `techniques` with such an entry: {zero_shot: {}, base_model: {path: FOLDER}}"
    problems.add(Code.WRONG_VALUE, ("gauge",), message, hint=hint, key=True)


def check_company(spec: Spec, gauge: str | None, ready: Sequence[Ready], base: object, problems: Problems) -> None:
    """Add a problem where the gauge stands alone: it is never chosen, and there is nothing else. Without both models'
    sizes it may yet be no gauge."""
    known = isinstance(base, ResolvedModel) and all(one.total is not None for one in ready)
    if gauge is None or not known or spec.techniques is None or len(spec.techniques) > 1:
        return
    message = f"`{gauge}` prompts a larger model than the spec's: it is the gauge, is never chosen, and stands alone"
    hint = "add a candidate to `techniques`, or write `gauge: candidate` to make it one"
    problems.add(Code.WRONG_VALUE, FIRST, message, hint=hint)
