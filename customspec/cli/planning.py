"""A spec's plan, as the command line asks for it: as it is, or once what it names on a hub is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from customspec.cli.roots import roots_of
from customspec.cli.specs import read_document
from customspec.compiler import Compiled, compile_document, read_spec
from customspec.compiler.candidates import Choices
from customspec.errors import UsageError
from customspec.machine import Machine
from customspec.plan import digest
from customspec.registry import discover
from customspec.report.logs import say


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
    _check_name(spec.resolve())
    # `--set` is in the plan already: what must not change is the file it was laid over
    sources = {"spec": str(spec.resolve()), "document": digest(read_document(spec).data if sets else document.data)}
    choices = Choices(only, limit, max_steps, machine, sources)
    return compile_document(document, discover(), roots=roots, cache=root, choices=choices)


def _check_name(spec: Path) -> None:
    """Plans, results and locks hold where the spec lies, and are UTF-8. Raises UsageError."""
    try:
        str(spec).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the path {spec} is not UTF-8, and no plan can hold it: rename what is not") from error


def resolved_plan(spec: Path, root: Path, machine: Machine, **choices: Any) -> Compiled:
    """Compile a spec; what is missing is fetched. Raises SpecError, MachineError with the hub's reason."""
    from customspec.runners.fetching import fetch  # a command that only looks fetches nothing

    compiled = make_plan(spec, root, machine, **choices)
    if compiled.unresolved:
        parsed, _ = read_spec(read_document(spec, choices.get("sets", ())), discover())
        fetch(parsed, root, say)
        compiled = make_plan(spec, root, machine, **choices)
    return compiled
