"""Shared by `predict` and `export`: the run that is named, the candidate that is meant, the store that the run lies
in."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from customspec.cli.progress import watching
from customspec.cli.roots import configured_roots
from customspec.cli.runs import find_run, reading, store_of
from customspec.containment import PASSING, contained
from customspec.errors import MachineError, StepError, UsageError
from customspec.machine import detect
from customspec.plan import Plan
from customspec.registry import discover
from customspec.runners.blame import failure_text
from customspec.runners.folder import read_run
from customspec.runners.places import roots_of_run
from customspec.runners.reopened import Reopened
from customspec.runners.shortage import shortage
from customspec.store import Store

log = logging.getLogger("customspec")

candidate_option = click.option(
    "--candidate", metavar="KEY", help="Another candidate than the chosen one, for instance lora@0."
)


@dataclass(frozen=True)
class ChosenCandidate:
    """A run's plan and results, and the key of the candidate that is meant."""

    run: Path
    plan: Plan
    document: dict[str, Any]
    key: str


def read_chosen(named: str, candidate: str | None, store: Path | None, allowed: Sequence[Path] = ()) -> ChosenCandidate:
    """The run with the named candidate, by its key or its id; without a name, the one that was chosen.

    Raises UsageError for what is no run, a candidate that it does not have, and a run that chose none.
    """
    run = find_run(named, store, allowed)
    with reading(run):
        plan, document = read_run(run)
        chosen = document["decision"]["chosen_key"]
    if candidate is None and chosen is None:
        raise UsageError("the run chose no candidate; name one with --candidate")
    return ChosenCandidate(run, plan, document, chosen if candidate is None else _named(candidate, plan))


def _named(candidate: str, plan: Plan) -> str:
    keys = [one.key for one in plan.candidates]
    meant = [one.key for one in plan.candidates if candidate in (one.key, one.id)]
    if not meant:
        raise UsageError(f"this run has no candidate {candidate}; it has: {', '.join(keys)}")
    return meant[0]  # of an id with several seeds the first, which is the one that ships


@contextmanager
def reopened(
    chosen: ChosenCandidate, does: str, device: str, store: Path | None, allowed: tuple[Path, ...]
) -> Iterator[Reopened]:
    """The candidate ready to be used, for as long as the `with` block; progress is shown. Its plan leads where
    `roots_of_run` says, and into the folders that are allowed."""
    root = store or store_of(chosen.run)
    machine = detect(device)
    roots = roots_of_run(chosen.plan, chosen.run, (*allowed, *configured_roots()))
    used = Store(root)
    with watching() as watcher, used.using():
        registry = discover()
        try:
            with contained(does, seeds=False):
                yield Reopened(chosen.plan, chosen.key, chosen.run, used, registry, machine, watcher, does, roots)
        except (*PASSING, OSError):
            raise
        except BaseException as error:  # as of a step: whatever a plugin or a library raises, or nonsense in a plan
            if (short := shortage(error)) is not None:
                raise MachineError(f"{does}: {short}") from error
            log.debug("%s failed", does, exc_info=error)
            raise StepError(f"{does}: {failure_text(error, registry)}") from error
