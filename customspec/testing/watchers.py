"""What is asked of a watcher: its members, and a light import. Its other methods are never called: what they write
would reach a real tracking server."""

from __future__ import annotations

from collections.abc import Iterator

from customspec.hookspecs import Watcher
from customspec.registry import MEMBERS
from customspec.testing.checks import Check, require
from customspec.testing.fresh import ask_anew
from customspec.testing.subject import module_of


def watcher_checks(watcher: Watcher) -> Iterator[Check]:
    """The rules for watchers."""
    yield Check("members", "It has every member of a watcher.", lambda: _members(watcher))
    yield Check("light_import", "Importing its module loads no heavy library.", lambda: _light(watcher))


def _members(watcher: Watcher) -> None:
    missing = [name for name in MEMBERS["watcher"] if getattr(watcher, name, None) is None]
    require(not missing, f"it lacks {', '.join(missing)}")
    require(watcher.summary.strip(), "`summary` is empty")


def _light(watcher: Watcher) -> None:
    module = module_of("watcher", watcher.name, watcher)
    loaded = ask_anew({"module": module, "kind": "watcher", "name": watcher.name}, 1).imported
    require(not loaded, f"importing its module loads {', '.join(loaded)}; import them inside the methods")
