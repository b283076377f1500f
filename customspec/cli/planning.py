"""A spec's plan, as the command line asks for it."""

from __future__ import annotations

from pathlib import Path

from customspec.cli.roots import roots_of
from customspec.cli.specs import read_document
from customspec.compiler import Compiled, compile_document
from customspec.compiler.candidates import Choices
from customspec.machine import Machine
from customspec.plan import digest
from customspec.registry import discover


def make_plan(
    spec: Path,
    root: Path,
    machine: Machine,
    *,
    sets: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    limit: int | None = None,
    max_steps: int | None = None,
    allow_root: tuple[Path, ...] = (),
) -> Compiled:
    """Compile a spec with what the command line adds. Raises SpecError, UsageError."""
    roots = roots_of(spec, allow_root)
    document = read_document(spec, sets)
    # `--set` is in the plan already: what must not change is the file it was laid over
    sources = {"spec": str(spec.resolve()), "document": digest(read_document(spec).data if sets else document.data)}
    choices = Choices(only, limit, max_steps, machine, sources)
    return compile_document(document, discover(), roots=roots, cache=root, choices=choices)
