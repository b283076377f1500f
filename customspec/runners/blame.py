"""Whose fault an exception in a step was: the plugin whose code stands nearest to where it was raised."""

from __future__ import annotations

import traceback

from customspec.containment import plugin_error
from customspec.errors import PluginError
from customspec.registry import Offer, Registry, discover


def failure_text(error: BaseException, registry: Registry) -> str:
    """The exception in a sentence; begins with the plugin, its distribution and version, where a plugin raised it."""
    cause = f"{type(error).__name__}: {error}"
    found = culprit(error, registry)
    return f"{found}: {cause}" if found else cause


def culprit(error: BaseException, registry: Registry) -> str | None:
    """The plugin that raised it, with its distribution and version; None where no plugin's code was on the way."""
    frames = reversed(list(traceback.walk_tb(error.__traceback__)))
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in frames]
    offers = [offer for claims in registry.offers.values() for offer in claims]
    package = next((_package(module) for module in modules if any(_of(offer, module) for offer in offers)), None)
    own = [offer for offer in offers if _package(offer.entry.module) == package]
    for module in modules:  # what a plugin's modules share is called by the module of one
        exact = [offer for offer in own if offer.entry.module == module]
        if len(exact) == 1:
            return exact[0].item
    return f"plugin {own[0]}" if own else None


def plugin_fault(error: BaseException) -> PluginError | None:
    """The error that names the installed plugin which raised it; None where none did."""
    found = culprit(error, discover())
    return plugin_error(found, error) if found else None


def _of(offer: Offer, module: str) -> bool:
    return _package(offer.entry.module) == _package(module)


def _package(module: str) -> str:
    return module.partition(".")[0]
