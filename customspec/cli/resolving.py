"""A spec's plan, with what it names on a hub fetched first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from customspec.cli.planning import make_plan
from customspec.cli.specs import read_document
from customspec.compiler import Compiled, read_spec
from customspec.machine import Machine
from customspec.registry import discover
from customspec.report.text import escape
from customspec.runners.fetching import fetch


def resolved_plan(spec: Path, root: Path, machine: Machine, **choices: Any) -> Compiled:
    """Compile a spec; what is missing is fetched. Raises SpecError, MachineError with the hub's reason."""
    compiled = make_plan(spec, root, machine, **choices)
    if compiled.unresolved:
        parsed, _ = read_spec(read_document(spec, choices.get("sets", ())), discover())
        fetch(parsed, root, lambda text: click.echo(escape(text), err=True))
        compiled = make_plan(spec, root, machine, **choices)
    return compiled
