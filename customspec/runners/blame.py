"""Whose fault an exception in a step was: the plugin whose code stands nearest to where it was raised."""

from __future__ import annotations

import traceback

from customspec.registry import Offer, Registry


def failure_text(error: BaseException, registry: Registry) -> str:
    """The exception in a sentence; begins with the plugin, its distribution and version, where a plugin raised it."""
    cause = f"{type(error).__name__}: {error}"
    offers = [offer for claims in registry.offers.values() for offer in claims]
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        exact = [offer for offer in offers if offer.entry.module == module]
        if len(exact) == 1:
            return f"plugin {exact[0]}: {exact[0].kind} `{exact[0].name}`: {cause}"
        if near := exact or [offer for offer in offers if _package(offer) == module.partition(".")[0]]:
            return f"plugin {near[0]}: {cause}"
    return cause


def _package(offer: Offer) -> str:
    return offer.entry.module.partition(".")[0]
