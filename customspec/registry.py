"""Entry points -> an immutable Registry. Names are read first; a module is imported only when asked for by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal, cast

import pluggy

from customspec.containment import blaming, cause, contained, plugin_error
from customspec.errors import Code, PluginError, Terminated
from customspec.hookspecs import (
    CONTRACT,
    GROUP,
    Extra,
    HasOptions,
    Metric,
    NeedsExtra,
    Plugin,
    PromptingTechnique,
    Technique,
    TuningTechnique,
    Watcher,
)
from customspec.spec import METRIC_RESERVED, RESERVED, Options, PromptingOptions, TrainingOptions

Kind = Literal["technique", "metric", "watcher"]
PREFIXES: Mapping[str, Kind] = {"metric.": "metric", "watcher.": "watcher"}
DESCRIBING = ("name", "summary", "options")
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "prompting": (*DESCRIBING, "shots", "select"),
    "tuning": (*DESCRIBING, "recipe", "refusal", "trainable_parameters", "adapt", "save", "load"),
    "metric": ("name", "summary", "task", "lowest", "highest", "higher_is_better", "proportion", "score"),
    "watcher": ("name", "summary", "run_started", "started", "progress", "finished", "run_finished"),
}
FAMILIES = ("prompting", "tuning")

TOGETHER: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "tuning": (("question", "answer"), ("texts", "objective", "needs_reference"), ("memory", "remember")),
    "metric": (("parts", "of_totals"),),
}
"""Optional members that count only all together, as their protocols in `hookspecs` have them."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A name that an installed distribution offers; nothing is imported yet."""

    kind: Kind
    name: str
    distribution: str
    version: str
    entry: EntryPoint

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def item(self) -> str:
        """What errors and warnings call it."""
        return f"plugin {self}: {self.kind} `{self.name}`"


@dataclass(frozen=True)
class Registry:
    """Every name on offer, with all who offer it. What is asked for is imported and checked once."""

    offers: Mapping[tuple[Kind, str], tuple[Offer, ...]]
    _checked: dict[Offer, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def names(self, kind: Kind) -> tuple[str, ...]:
        return tuple(sorted(name for offered, name in self.offers if offered == kind))

    def offer(self, kind: Kind, name: str) -> Offer:
        """The one offer of a name. Raises PluginError when two distributions claim it, KeyError when none does."""
        found = self.offers[kind, name]
        if len(found) > 1:
            claimants = " and ".join(sorted(map(str, found)))
            message = f"{kind} `{name}` is offered by {claimants}; uninstall one of them"
            others = sorted({one.distribution for one in found} - {"customspec"})
            raise PluginError(message, Code.PLUGIN_CLASH, " or ".join(f"pip uninstall {other}" for other in others))
        return found[0]

    def technique(self, name: str) -> Technique:
        """The technique, imported and checked. Raises PluginError, naming the plugin and the cause."""
        return cast(Technique, self.item("technique", name))

    def prompting(self, name: str) -> PromptingTechnique:
        """A technique of the family `prompting`. Raises PluginError for another."""
        return cast(PromptingTechnique, _of_family(self.technique(name), "prompting"))

    def tuning(self, name: str) -> TuningTechnique:
        """A technique of the family `tuning`. Raises PluginError for another."""
        return cast(TuningTechnique, _of_family(self.technique(name), "tuning"))

    def metric(self, name: str) -> Metric:
        """The metric, imported and checked. Raises PluginError, naming the plugin and the cause."""
        return cast(Metric, self.item("metric", name))

    def watcher(self, name: str) -> Watcher:
        """The watcher, imported and checked. Raises PluginError, naming the plugin and the cause."""
        return cast(Watcher, self.item("watcher", name))

    def item(self, kind: Kind, name: str) -> Any:
        """Whatever is offered under a name, imported and checked once. Raises PluginError."""
        offer = self.offer(kind, name)
        if offer not in self._checked:
            try:
                with contained(f"plugin {offer}"), blaming(offer.item):
                    self._checked[offer] = _one(offer, _offered(offer))
            except PluginError as unusable:
                raise PluginError(str(unusable), unusable.code, unusable.hint or _other(offer)) from unusable.__cause__
        return self._checked[offer]


def metric_options(metric: Metric) -> type[Options]:
    """The model of a metric's options; one without a field for a metric that has none."""
    return metric.options if isinstance(metric, HasOptions) else Options


def check_extra(kind: Kind, item: Technique | Metric | Watcher) -> None:
    """Raises PluginError where a module that the plugin needs is not installed; nothing is imported."""
    extra = item.extra if isinstance(item, NeedsExtra) else None
    missing = [name for name in extra.modules if find_spec(name) is None] if isinstance(extra, Extra) else []
    if extra and missing:
        are = "is" if len(missing) == 1 else "are"
        needed = f"{kind} `{item.name}` needs {' and '.join(missing)}, which {are} not installed"
        message = f"{needed}: pip install '{extra.install}'"
        raise PluginError(message, Code.EXTRA_MISSING, f"or name another {kind}")


def discover(found: Iterable[EntryPoint] | None = None) -> Registry:
    """All that the installed distributions offer, without importing any of it."""
    offers: dict[tuple[Kind, str], tuple[Offer, ...]] = {}
    described = cache(_described)  # a distribution's metadata is read once, however much it offers
    for entry in entry_points(group=GROUP) if found is None else found:
        offer = _read(entry, *described(entry.dist))
        key = (offer.kind, offer.name)
        offers[key] = (*offers.get(key, ()), offer)
    return Registry(offers)


def _described(distribution: Distribution | None) -> tuple[str, str]:
    """The distribution's name and version."""
    return ("unknown", "0") if distribution is None else (distribution.name, distribution.version)


def _read(entry: EntryPoint, distribution: str, version: str) -> Offer:
    for prefix, kind in PREFIXES.items():
        if entry.name.startswith(prefix):
            return Offer(kind, entry.name.removeprefix(prefix), distribution, version, entry)
    return Offer("technique", entry.name, distribution, version, entry)


def _offered(offer: Offer) -> list[Any]:
    module = _load(offer)
    wanted = vars(module).get("CUSTOMSPEC_CONTRACT", CONTRACT)
    if wanted != CONTRACT:
        message = f"plugin {offer} needs contract {wanted}; this customspec speaks {CONTRACT}"
        newer = isinstance(wanted, int) and wanted > CONTRACT
        hint = f"pip install --upgrade {'customspec' if newer else offer.distribution}"
        raise PluginError(message, Code.PLUGIN_CONTRACT, hint)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Plugin)
    with blaming(f"plugin {offer} is broken"):
        manager.register(module, name=offer.entry.name)
        manager.check_pending()
        lists = getattr(manager.hook, f"customspec_{offer.kind}s")()
        return [item for items in lists for item in items]


def _other(offer: Offer) -> str:
    return f"pip install --upgrade {offer.distribution}; if that does not mend it, name another {offer.kind}"


def _load(offer: Offer) -> ModuleType:
    try:
        return cast(ModuleType, offer.entry.load())
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException as error:
        raise plugin_error(f"plugin {offer} cannot be imported ({offer.entry.value})", error) from error


def _one(offer: Offer, items: list[Any]) -> Any:
    named = [item for item in items if getattr(item, "name", None) == offer.name]
    if len(named) != 1:
        raise PluginError(f"plugin {offer} promises {offer.kind} `{offer.name}` but its hook offers {len(named)} of it")
    family = getattr(named[0], "family", None) if offer.kind == "technique" else offer.kind
    missing = [name for name in MEMBERS.get(str(family), ("family",)) if getattr(named[0], name, None) is None]
    missing = missing or _forgotten(named[0], str(family))
    if missing:
        raise PluginError(f"{offer.item} lacks {', '.join(missing)}")
    if wrong := _wrong(named[0], offer.kind):
        raise PluginError(f"{offer.item}: {wrong}")
    if offer.kind != "watcher":
        _check_options(offer, named[0], family)
    return named[0]


def _wrong(item: Any, kind: Kind) -> str | None:
    """What is read of it wherever plugins are listed or a goal is checked, and is not what the contract says."""
    if kind == "technique" and item.family not in FAMILIES:
        return f"its family is {item.family!r}, neither `prompting` nor `tuning`"
    if not isinstance(item.summary, str):
        return f"its summary is no text but {item.summary!r}"
    numbers = ("lowest", "highest") if kind == "metric" else ()
    no_numbers = [name for name in numbers if not isinstance(getattr(item, name), int | float)]
    if no_numbers:
        return f"its {no_numbers[0]} is no number but {getattr(item, no_numbers[0])!r}"
    getattr(item, "extra", None)  # a property is asked here for the first time, where its fault is the plugin's
    return None


def _forgotten(item: Any, family: str) -> list[str]:
    """What an optional member needs beside it: half of a pair would be passed over without a word."""
    for together in TOGETHER.get(family, ()):
        missing = [name for name in together if not hasattr(item, name)]
        if len(missing) < len(together):
            return missing
    return []


def _check_options(offer: Offer, item: Any, family: object) -> None:
    options = metric_options(item) if offer.kind == "metric" else item.options
    base = {"tuning": TrainingOptions, "prompting": PromptingOptions}.get(str(family), Options)
    if not (isinstance(options, type) and issubclass(options, base)):
        raise PluginError(f"plugin {offer}: `{offer.name}`.options must be a subclass of {base.__name__}")
    if offer.name in (METRIC_RESERVED if offer.kind == "metric" else RESERVED):
        raise PluginError(f"plugin {offer}: `{offer.name}` is a reserved key and cannot name a {offer.kind}")
    try:
        options.model_rebuild()  # its validator is built when it is first used, which is now
    except Exception as error:
        raise PluginError(f"plugin {offer}: `{offer.name}`.options cannot be used: {cause(error)}") from error


def _of_family(technique: Technique, family: str) -> Technique:
    if technique.family != family:
        raise PluginError(f"technique `{technique.name}` is of the family {technique.family}, not {family}")
    return technique
