"""The spec and its entries, read; with mistakes in them as far as they can be understood."""

from __future__ import annotations

from dataclasses import dataclass

from customspec.compiler.entries import Draft, check_later_work, read_entries
from customspec.compiler.gauge import check_gauge
from customspec.compiler.limits import check_limits
from customspec.compiler.mending import mend
from customspec.compiler.problems import Problems
from customspec.compiler.secrets import check_secrets
from customspec.compiler.validation import validate
from customspec.registry import Registry
from customspec.spec import Spec


@dataclass(frozen=True, slots=True)
class Understood:
    """A spec and the entries that nothing is wrong with. `whole`: whether these are all; `plain`: whether any entry,
    right or wrong, has no prompt of its own; `own`: whether any has one."""

    spec: Spec
    drafts: tuple[Draft, ...]
    whole: bool
    plain: bool
    own: bool


def understand(registry: Registry, problems: Problems) -> Understood | None:
    """Both passes of validation. Every mistake is added to `problems`, whose document is then what it was meant to be;
    None where nothing can be made of it. Raises SpecError where there is more than can be looked at."""
    _stop_at_limits(problems)
    spec = validate(Spec, problems.document.data, problems)
    check_secrets(problems.document.data, problems)
    if spec is None and (mended := mend(problems)):
        problems.go_on(mended.document, mended.unsure)
        spec = mended.spec
        _stop_at_limits(problems)  # a section that has its right name now may be too large
    return _read(spec, registry, problems)


def _stop_at_limits(problems: Problems) -> None:
    before = len(problems)
    check_limits(problems.document, problems)
    if len(problems) > before:
        problems.stop_if_any()  # to understand it all would take long


def _read(spec: Spec | None, registry: Registry, problems: Problems) -> Understood | None:
    before, document = len(problems), problems.document
    unsure = problems.doubts("techniques")
    drafts = () if unsure else read_entries(document.data, registry, problems)
    if spec is None:
        return None
    named = document.data.get("techniques")
    whole = not unsure and len(problems) == before and (named is None or len(drafts) == len(named))
    check_later_work(drafts, problems)
    if whole and not problems.doubts("gauge", "base_model"):
        check_gauge(spec, drafts, problems)
    own = [isinstance(entry, dict) and "prompt" in entry for entry in named] if isinstance(named, list) else []
    return Understood(spec, drafts, whole, plain=not all(own) or not own, own=any(own))
