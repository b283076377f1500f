"""`customspec validate SPEC…`: every problem of every spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from customspec.cli.common import json_option, read_document, show_json, show_problems, store_option, store_root
from customspec.compiler import compile_document
from customspec.errors import Exit, Problem, SpecError
from customspec.registry import Registry, discover
from customspec.report.problems import as_json

Found = Mapping[Path, Sequence[Problem]]


@click.command("validate")
@click.argument("specs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    help="How to tell problems; all but text go to stdout.",
)
@store_option
@json_option
def command(specs: tuple[Path, ...], form: str, store: Path | None, *, as_json: bool) -> int:
    """Check specs, their data and their models' headers. Runs nothing."""
    registry = discover()
    found = {spec: find_problems(spec, store, registry) for spec in specs}
    show(found, "json" if as_json else form)
    ends = [min(problem.exit for problem in problems) for problems in found.values() if problems]
    return min(ends, default=Exit.DONE)


def find_problems(spec: Path, store: Path | None, registry: Registry) -> tuple[Problem, ...]:
    """Every problem of one spec; none when it can run."""
    try:
        compile_document(read_document(spec), registry, root=spec.resolve().parent, cache=store_root(spec, store))
    except SpecError as error:
        return error.problems
    return ()


def show(found: Found, form: str) -> None:
    """Tell problems in one of the forms."""
    every = [problem for problems in found.values() for problem in problems]
    if form == "json":
        show_json([{"spec": str(spec), "problems": [as_json(p) for p in problems]} for spec, problems in found.items()])
    elif form == "text":
        _show_text(found)
    else:
        _show_for_others(every, form)


def _show_text(found: Found) -> None:
    for spec, problems in found.items():
        if problems:
            show_problems(problems)
        else:
            click.echo(f"{spec}: valid")


def _show_for_others(problems: Sequence[Problem], form: str) -> None:
    from customspec.report.exchange import as_github, as_sarif
    from customspec.report.explanations import explanations

    if form == "sarif":
        show_json(as_sarif(problems, explanations()))
    for problem in problems if form == "github" else ():
        click.echo(as_github(problem))
