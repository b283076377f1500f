"""`customspec validate SPEC…`: every problem of every spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from customspec.cli.options import json_option, store_option
from customspec.cli.output import show_json, show_problems
from customspec.cli.places import store_root
from customspec.cli.roots import allow_root_option, roots_of
from customspec.cli.specs import read_document
from customspec.compiler import compile_document
from customspec.errors import Exit, Problem, SpecError
from customspec.inputs.paths import Roots
from customspec.registry import Registry, discover
from customspec.report.problems import as_json
from customspec.report.text import escape
from customspec.source import SPEC, Document, parse


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a spec, or else what the person should know of it."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


Found = Mapping[Path, Checked]


@click.command("validate")
@click.argument("specs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    help="How to tell problems; all but text go to stdout.",
)
@click.option("--fix", "wants_fix", is_flag=True, help="Rename keys where that is certain, and show the difference.")
@store_option
@allow_root_option
@json_option
def command(
    specs: tuple[Path, ...],
    form: str,
    store: Path | None,
    allow_root: tuple[Path, ...],
    *,
    wants_fix: bool,
    as_json: bool,
) -> int:
    """Check specs, their data and their models' headers. Runs nothing."""
    registry = discover()
    roots = {spec: roots_of(spec, allow_root) for spec in specs}
    for spec in specs if wants_fix else ():
        _fix(spec, store, registry, roots[spec])
    found = {spec: _check(spec, store, registry, roots[spec]) for spec in specs}
    show(found, "json" if as_json else form)
    ends = [min(problem.exit for problem in one.problems) for one in found.values() if one.problems]
    return min(ends, default=Exit.DONE)


def find_problems(spec: Path, store: Path | None, registry: Registry, roots: Roots) -> tuple[Problem, ...]:
    """Every problem of one spec; none when it can run."""
    return _check(spec, store, registry, roots).problems


def _check(spec: Path, store: Path | None, registry: Registry, roots: Roots) -> Checked:
    return _checked(lambda: read_document(spec), spec, store, registry, roots)


def _checked(
    document: Callable[[], Document], spec: Path, store: Path | None, registry: Registry, roots: Roots
) -> Checked:
    try:
        compiled = compile_document(document(), registry, roots=roots, cache=store_root(spec, store))
    except SpecError as error:
        return Checked(error.problems)
    return Checked((), compiled.notes)


def _fix(spec: Path, store: Path | None, registry: Registry, roots: Roots) -> None:
    from customspec.cli.fixing import fix

    if spec.is_file() and spec.stat().st_size <= SPEC.most_bytes:
        fix(spec, lambda text: _checked(lambda: parse(text, str(spec)), spec, store, registry, roots).problems)


def show(found: Found, form: str) -> None:
    """Tell problems in one of the forms."""
    every = [problem for one in found.values() for problem in one.problems]
    if form == "json":
        show_json([{"spec": str(spec), "problems": [as_json(p) for p in one.problems]} for spec, one in found.items()])
    elif form == "text":
        _show_text(found)
    else:
        _show_for_others(every, form)


def _show_text(found: Found) -> None:
    for spec, one in found.items():
        if one.problems:
            show_problems(one.problems)
        else:
            click.echo(f"{escape(str(spec))}: valid")
        for note in one.notes:
            click.echo(f"note: {escape(note)}")


def _show_for_others(problems: Sequence[Problem], form: str) -> None:
    from customspec.report.exchange import as_github, as_sarif
    from customspec.report.explanations import explanations

    if form == "sarif":
        show_json(as_sarif(problems, explanations()))
    for problem in problems if form == "github" else ():
        click.echo(as_github(problem))
