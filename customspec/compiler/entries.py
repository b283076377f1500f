"""Pass two: each entry of `techniques`, its technique found by name and its options checked by the technique."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from operator import index
from typing import Any

from customspec.compiler.problems import Problems
from customspec.compiler.renames import certain_rename
from customspec.compiler.search import PlannedSearch, read_search, with_most_shots
from customspec.compiler.validation import not_a_mapping, validate
from customspec.containment import plugin_code
from customspec.errors import Code, Exit, PluginError
from customspec.hookspecs import PromptingTechnique, Technique, TuningTechnique
from customspec.registry import Offer, Registry, check_extra
from customspec.source import KeyPath
from customspec.spec import LADDER, RESERVED, Options, PromptingOptions, TechniqueEntry, TrainingOptions
from customspec.suggest import NAMES, NO_KEYS, RECIPES, closest, did_you_mean


@dataclass(frozen=True)
class ChosenTechnique:
    """A technique with its validated options, and who offers it."""

    technique: Technique
    options: Options
    offer: Offer
    at: KeyPath
    files: Mapping[str, str] = field(default_factory=dict)
    """Digests of what options name on this machine, by option."""


def blaming_plugin(chosen: ChosenTechnique) -> AbstractContextManager[None]:
    """What a technique raises while a spec is compiled is its plugin's fault, and told as such; it leaves no trace."""
    return plugin_code(chosen.offer.item)


@dataclass(frozen=True)
class Draft:
    """One entry, understood: a prompting technique, a tuning technique, or both."""

    id: str
    entry: TechniqueEntry
    at: KeyPath
    prompting: ChosenTechnique | None
    tuning: ChosenTechnique | None
    search: PlannedSearch | None = None

    @property
    def main(self) -> ChosenTechnique:
        chosen = self.tuning or self.prompting
        assert chosen is not None
        return chosen


def read_entries(data: Mapping[str, Any], registry: Registry, problems: Problems) -> tuple[Draft, ...]:
    """Every entry of the document, or of the default ladder where it names none. Problems are added, and an entry that
    has one is left out."""
    raw = data.get("techniques")
    if raw is None:
        raw = [name for name in LADDER if ("technique", name) in registry.offers]
    if not isinstance(raw, list):
        return ()
    drafts: list[Draft] = []
    faulty: list[Draft] = []
    for number, item in enumerate(raw):
        before, draft = len(problems), _read(number, item, registry, problems)
        drafts += [draft] if draft else []
        faulty += [draft] if draft and len(problems) > before else []
    _check_ids(drafts, problems)
    return tuple(draft for draft in drafts if draft not in faulty)


def check_later_work(drafts: tuple[Draft, ...], problems: Problems) -> None:
    """Refuse, and never ignore, what the format has and this version cannot do yet."""
    for draft in drafts:
        if draft.entry.resources is not None:
            message = "`resources` is not supported yet: resources are not assigned"
            problems.add(Code.NOT_YET, (*draft.at, "resources"), message, hint="remove it to run", key=True)


def _read(index: int, item: object, registry: Registry, problems: Problems) -> Draft | None:
    at: KeyPath = ("techniques", index)
    if not isinstance(item, str | dict):
        return None  # pass one has said so
    named = [item] if isinstance(item, str) else _named(item)
    if len(named) != 1:
        _not_one(named, at, registry, problems)
        return None
    options = item.get(named[0]) if isinstance(item, dict) else None
    main = _choose(named[0], options, at if isinstance(item, str) else (*at, named[0]), registry, problems)
    if main is None:
        return None
    try:
        entry = TechniqueEntry.model_validate({named[0]: {}} if isinstance(item, str) else item)
    except ValueError:
        return None  # pass one has said what is wrong
    return _draft(at, entry, main, registry, problems)


def _named(item: Mapping[str, Any]) -> list[str]:
    return [key for key in item if key not in RESERVED]


def _not_one(named: list[str], at: KeyPath, registry: Registry, problems: Problems) -> None:
    techniques = [name for name in named if ("technique", name) in registry.offers]
    if len(techniques) == 1:
        for name in named:
            if name not in techniques:
                nearest = closest(name, RESERVED)
                under = f"options of `{techniques[0]}` are indented under it"
                hint = NO_KEYS.get(name) or did_you_mean(nearest, under)
                message = f"`{name}` beside `{techniques[0]}` is neither a technique nor a key of an entry"
                rename = certain_rename(problems.document, at, name, RESERVED)
                problems.add(Code.TECHNIQUE_ENTRY, (*at, name), message, hint=hint, key=True, rename=rename)
        return
    found = " and ".join(f"`{name}`" for name in named) or "none"
    hint = "make each an entry of its own; a prompting technique beside a tuning one goes under `prompting`"
    if not techniques:
        hint = f"name one of those installed: {', '.join(registry.names('technique'))}"
    problems.add(Code.TECHNIQUE_ENTRY, at, f"an entry names exactly one technique; found {found}", hint=hint)


def _draft(
    at: KeyPath, entry: TechniqueEntry, main: ChosenTechnique, registry: Registry, problems: Problems
) -> Draft | None:
    beside = _beside(entry, (*at, "prompting"), registry, problems)
    if main.technique.family == "prompting" and entry.prompting is not None:
        problems.add(
            Code.TECHNIQUE_ENTRY,
            (*at, "prompting"),
            f"`prompting` stands beside a tuning technique; `{main.technique.name}` is a prompting technique itself",
            hint="remove it, or make it an entry of its own",
            key=True,
        )
    tuned = main.technique.family == "tuning"
    with blaming_plugin(main):
        searched = None if entry.search is None else read_search(entry.search, main, (*at, "search"), problems)
        if searched is not None and not tuned:
            main = with_most_shots(main, searched)
    return Draft(
        id=entry.id or main.technique.name,
        entry=entry,
        at=at,
        prompting=beside if tuned else main,
        tuning=main if tuned else None,
        search=searched,
    )


def _beside(entry: TechniqueEntry, at: KeyPath, registry: Registry, problems: Problems) -> ChosenTechnique | None:
    raw = {entry.prompting: {}} if isinstance(entry.prompting, str) else entry.prompting
    if raw is None:
        return None
    if len(raw) != 1:
        hint = "keep one; each of them is tried where each is in an entry of its own" if raw else "name one: few_shot"
        problems.add(Code.TECHNIQUE_ENTRY, at, "`prompting` names exactly one prompting technique", hint=hint)
        return None
    name, options = next(iter(raw.items()))
    chosen = _choose(str(name), options, at if isinstance(entry.prompting, str) else (*at, name), registry, problems)
    if chosen is not None and chosen.technique.family != "prompting":
        message = f"`{name}` is no prompting technique: it is a {chosen.technique.family} technique"
        hint = "name a prompting technique, such as few_shot; a second training is an entry of its own"
        problems.add(Code.TECHNIQUE_ENTRY, chosen.at, message, hint=hint, key=True)
        return None
    return chosen


def _choose(name: str, raw: object, at: KeyPath, registry: Registry, problems: Problems) -> ChosenTechnique | None:
    if ("technique", name) not in registry.offers:
        known = registry.names("technique")
        nearest = closest(name, known, NAMES)
        hint = RECIPES.get(name.casefold()) or did_you_mean(nearest, f"installed: {', '.join(known)}")
        is_other = name.casefold() in RECIPES
        rename = None if is_other else certain_rename(problems.document, at[:-1], name, known, {})
        message = f"no technique `{name}` is installed"
        problems.add(Code.UNKNOWN_TECHNIQUE, at, message, hint=hint, key=True, rename=rename)
        return None
    try:
        offer, technique = registry.offer("technique", name), registry.technique(name)
        check_extra("technique", technique)
    except PluginError as unusable:
        problems.add(unusable.code, at, str(unusable), hint=unusable.hint, key=True, exit=Exit.ENVIRONMENT)
        return None
    if raw is not None and not isinstance(raw, dict):
        not_a_mapping(f"`{name}`", raw, tuple(technique.options.model_fields), at, problems, key=name)
        return None
    with plugin_code(offer.item):  # options may check themselves in ways of their own
        options = validate(technique.options, raw or {}, problems, at, f"technique `{name}`")
    return None if options is None else ChosenTechnique(technique, options, offer, at)


def _check_ids(drafts: list[Draft], problems: Problems) -> None:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.id, draft)
        if other is not draft:
            place = problems.document.locate(other.at)
            at = (*draft.at, "id") if draft.entry.id else draft.main.at
            problems.add(
                Code.DUPLICATE_ID,
                at,
                f"the id `{draft.id}` is already used at {place.line}:{place.column}",
                hint="give one of them an `id` of its own",
                key=draft.entry.id is None,
            )


def tuning_of(draft: Draft) -> tuple[TuningTechnique, TrainingOptions] | None:
    """The tuning technique and its options, typed."""
    if draft.tuning is None:
        return None
    technique, options = draft.tuning.technique, draft.tuning.options
    assert technique.family == "tuning"
    assert isinstance(options, TrainingOptions)
    return technique, options


def prompting_of(draft: Draft) -> tuple[PromptingTechnique, PromptingOptions] | None:
    """The prompting technique and its options, typed."""
    if draft.prompting is None:
        return None
    technique, options = draft.prompting.technique, draft.prompting.options
    assert technique.family == "prompting"
    assert isinstance(options, PromptingOptions)
    return technique, options


def shots_of(draft: Draft) -> int:
    """How many demonstrations the prompting technique shows, 0 without one. Raises PluginError where it gives no
    number."""
    chosen = prompting_of(draft)
    if chosen is None or draft.prompting is None:
        return 0
    with blaming_plugin(draft.prompting):
        shots = index(chosen[0].shots(chosen[1]))
    if shots < 0:
        raise PluginError(f"{draft.prompting.offer.item}: `shots` gives {shots}")
    return shots
