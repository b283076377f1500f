"""`customspec validate SPEC…`: every problem of every spec."""

from __future__ import annotations

from pathlib import Path

import click

from customspec.cli.common import json_option, read_document, show_json, show_problems, store_option, store_root
from customspec.compiler import compile_document
from customspec.errors import Exit, Problem, SpecError
from customspec.registry import Registry, discover
from customspec.report.problems import as_json


@click.command("validate")
@click.argument("specs", type=click.Path(path_type=Path), nargs=-1, required=True)
@store_option
@json_option
def command(specs: tuple[Path, ...], store: Path | None, *, as_json: bool) -> int:
    """Check specs, their data and their models' headers. Runs nothing."""
    return validate_all(specs, store, wants_json=as_json)


def validate_all(specs: tuple[Path, ...], store: Path | None, *, wants_json: bool) -> int:
    """Show every problem; the exit code is that of the worst spec."""
    registry = discover()
    found = {spec: _problems(spec, store, registry) for spec in specs}
    if wants_json:
        show_json([{"spec": str(spec), "problems": [as_json(p) for p in problems]} for spec, problems in found.items()])
    for spec, problems in found.items():
        if problems and not wants_json:
            show_problems(problems)
        elif not wants_json:
            click.echo(f"{spec}: valid")
    ends = [min(problem.exit for problem in problems) for problems in found.values() if problems]
    return min(ends, default=Exit.DONE)


def _problems(spec: Path, store: Path | None, registry: Registry) -> tuple[Problem, ...]:
    try:
        compile_document(read_document(spec), registry, root=spec.resolve().parent, cache=store_root(spec, store))
    except SpecError as error:
        return error.problems
    return ()
