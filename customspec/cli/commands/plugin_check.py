"""`customspec plugin check [NAME...]`: the conformance suite on what is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from customspec.cli.options import json_option
from customspec.cli.output import show_json
from customspec.containment import contained, plugin_code
from customspec.errors import Exit, PluginError, UsageError
from customspec.registry import Offer, Registry, discover
from customspec.report.text import escape
from customspec.source import parse_scalar
from customspec.suggest import closest, did_you_mean
from customspec.testing import ARCHITECTURES, Check, Outcome, TinyModels, checks_of, metric_checks_of, watcher_checks_of

OURS = "customspec"
MARKS = {"ok": "ok     ", "wrong": "WRONG  ", "skipped": "-      "}


@click.command("check")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Try techniques and metrics with this option: r=4; repeatable.",
)
@click.option(
    "--architecture",
    "architectures",
    type=click.Choice(ARCHITECTURES),
    multiple=True,
    help="Try tuning techniques on this one only; repeatable.",
)
@json_option
def check(names: tuple[str, ...], sets: tuple[str, ...], architectures: tuple[str, ...], *, as_json: bool) -> int:
    """Check plugins against the contract, on tiny models.

    NAME is a technique, `metric.NAME`, `watcher.NAME`, a distribution or a module; without one, all that is not
    customspec's own is checked. Exit code 1: a rule is broken; 4: a plugin cannot be used at all.
    """
    registry = discover()
    tried = _Tried(registry, dict(map(_option, sets)), architectures or ARCHITECTURES, TinyModels())
    found = [_checked(offer, tried, show=not as_json) for offer in _chosen(names, registry)]
    if as_json:
        show_json(found)
    return max(_exit(plugin) for plugin in found)


@dataclass(frozen=True)
class _Tried:
    """What plugins are found by, and tried with."""

    registry: Registry
    options: Mapping[str, Any]
    architectures: tuple[str, ...]
    models: TinyModels

    def checks(self, offer: Offer) -> tuple[Check, ...]:
        """Raises PluginError when what is offered cannot be used at all."""
        if offer.kind == "metric":
            return metric_checks_of(self.registry.metric(offer.name), self.options)
        if offer.kind == "watcher":
            return watcher_checks_of(self.registry.watcher(offer.name))
        technique = self.registry.technique(offer.name)
        return checks_of(technique, self.options, architectures=self.architectures, models=self.models)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set needs OPTION=VALUE, found {text}")
    return name, parse_scalar(value)


def _chosen(names: Sequence[str], registry: Registry) -> list[Offer]:
    """What the names mean, each once. Raises UsageError for a name that means nothing that is installed."""
    offers = [offer for claims in registry.offers.values() for offer in claims]
    if not names:
        found = [offer for offer in offers if offer.distribution != OURS]
        if not found:
            raise UsageError(
                "no plugin but customspec's own is installed; name a technique, a metric, a watcher or a distribution"
            )
        return found
    chosen: dict[Offer, None] = {}
    for name in names:
        meant = [offer for offer in offers if name in _words(offer)]
        if not meant:
            raise UsageError(_unknown(name, offers))
        chosen |= dict.fromkeys(meant)
    return list(chosen)


def _words(offer: Offer) -> tuple[str, ...]:
    """All that an offer may be called."""
    package = offer.entry.module.partition(".")[0]
    return offer.entry.name, offer.distribution, offer.distribution.replace("-", "_"), offer.entry.module, package


def _unknown(name: str, offers: Sequence[Offer]) -> str:
    nearest = closest(name, [word for offer in offers for word in _words(offer)])
    hint = did_you_mean(nearest, "a plugin is found by its entry points, once it is installed")
    return f"no installed plugin is, or offers, `{name}`; {hint}"


def _checked(offer: Offer, tried: _Tried, *, show: bool) -> dict[str, Any]:
    """One plugin's outcomes, as JSON; `show`: each printed as it is known."""
    plugin = {"kind": offer.kind, "name": offer.name, "distribution": offer.distribution, "version": offer.version}
    if show:
        click.echo(f"{offer.kind} {offer.name} ({offer})")
    try:
        with plugin_code(offer.item):
            checks = tried.checks(offer)
    except PluginError as unusable:
        if show:
            click.echo(f"  {MARKS['wrong']}{escape(str(unusable))}")
        return {**plugin, "problem": str(unusable), "checks": []}
    outcomes = []
    for each in checks:
        with contained(offer.item):
            outcomes.append(each.outcome())
        if show:
            _print(outcomes[-1])
    return {**plugin, "problem": None, "checks": [asdict(outcome) for outcome in outcomes]}


def _print(outcome: Outcome) -> None:
    problem = f": {escape(outcome.problem)}" if outcome.problem else ""
    click.echo(f"  {MARKS[outcome.status]}{outcome.name}{problem}")


def _exit(plugin: dict[str, Any]) -> Exit:
    if plugin["problem"]:
        return Exit.ENVIRONMENT
    wrong = any(outcome["status"] == "wrong" for outcome in plugin["checks"])
    return Exit.STEP_FAILED if wrong else Exit.DONE
