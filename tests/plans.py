"""Specs compiled in this process, and plans by what of them would be run again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from customspec.cli.roots import roots_of
from customspec.compiler import Compiled, compile_document
from customspec.compiler.candidates import Choices
from customspec.plan import Plan
from customspec.registry import discover
from customspec.source import read

FOUR = "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2}}, full]"


def compiled(spec: Path, **choices: Any) -> Compiled:
    """The spec, compiled with the installed plugins, as the command line does it."""
    cache = spec.parent / ".customspec"
    return compile_document(read(spec), discover(), roots=roots_of(spec), cache=cache, choices=Choices(**choices))


def plan_of(spec: Path, **choices: Any) -> Plan:
    return compiled(spec, **choices).plan


def fingerprints(plan: Plan) -> dict[str, str]:
    return {step.id: step.fingerprint for step in plan.steps}


def changed(before: Plan, after: Plan) -> set[str]:
    """The ids of steps that would be run again; both plans have the same steps."""
    old, new = fingerprints(before), fingerprints(after)
    assert old.keys() == new.keys()
    return {id for id in old if old[id] != new[id]}


def steps_of(candidates: Iterable[str], plan: Plan) -> set[str]:
    """The ids of these candidates' own steps."""
    return {step.id for step in plan.steps if step.candidate in set(candidates)}
