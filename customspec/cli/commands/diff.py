"""`customspec diff A B`: two specs, or locks, by what they mean: what would be run again, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from customspec.cli.locks import read_lock
from customspec.cli.options import device_option, json_option, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_root
from customspec.cli.planning import make_plan
from customspec.cli.roots import allow_root_option
from customspec.compiler.difference import Difference, between_locks, between_plans
from customspec.compiler.locking import Section, section_of
from customspec.errors import Exit, UsageError
from customspec.machine import Machine, detect
from customspec.plan import Plan
from customspec.report.text import escape


@dataclass(frozen=True)
class Side:
    """A spec with its plan, or a lock with its sections."""

    file: Path
    plan: Plan | None
    sections: dict[str, Section]


@click.command("diff")
@click.argument("a", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("b", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@device_option
@store_option
@allow_root_option
@json_option
def command(a: Path, b: Path, store: Path | None, device: str, allow_root: tuple[Path, ...], *, as_json: bool) -> int:
    """What B would run that A's store does not hold, and why. Each is a spec or a lock. Runs nothing."""
    first, second = (_side(file, store, detect(device), allow_root) for file in (a, b))
    found = _differences(first, second)
    if as_json:
        show_json({name: difference.to_json() for name, difference in found.items()})
        return Exit.DONE
    for name, difference in found.items():
        if len(found) > 1:
            click.echo(f"{escape(name)}:")
        _print(difference)
    return Exit.DONE


def _side(file: Path, store: Path | None, machine: Machine, allow_root: tuple[Path, ...]) -> Side:
    if file.suffix == ".lock":
        return Side(file, None, dict(read_lock(file)))
    compiled = make_plan(file, store_root(file, store), machine, allow_root=allow_root)
    if compiled.unresolved:
        raise UsageError(f"{', '.join(compiled.unresolved)} is not here yet; `lock` or `run` fetches it")
    return Side(file, compiled.plan, {file.name: section_of(compiled.plan)})


def _differences(first: Side, second: Side) -> dict[str, Difference]:
    if first.plan is not None and second.plan is not None:
        return {second.file.name: between_plans(first.plan, second.plan)}
    names = sorted(first.sections.keys() & second.sections.keys())
    if not names:
        raise UsageError(f"{first.file} and {second.file} have no spec in common")
    return {name: between_locks(first.sections[name], second.sections[name]) for name in names}


def _print(difference: Difference) -> None:
    if difference.is_empty:
        click.echo("nothing differs that a result depends on")
    for rerun in difference.rerun:
        click.echo(f"re-runs {escape(rerun.step)}")
        for why in rerun.why:
            click.echo(f"  {escape(why)}")
    for word, steps in (("new", difference.new), ("gone", difference.gone)):
        for step in steps:
            click.echo(f"{word} {escape(step)}")
    for text in difference.other:
        click.echo(f"differs, and re-runs nothing: {escape(text)}")
