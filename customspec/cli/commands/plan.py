"""`customspec plan SPEC`: the steps, what is cached, the parameters of each candidate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from customspec.cli.goal_rows import goal_lines, goal_rows
from customspec.cli.options import choice_options, device_option, json_option, spec_argument, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_root
from customspec.cli.planning import make_plan
from customspec.cli.printing import print_table
from customspec.cli.writing import write_out
from customspec.compiler import Compiled
from customspec.decide.prospect import MEMO
from customspec.errors import Exit, UsageError
from customspec.machine import Machine, detect
from customspec.plan import Plan
from customspec.report.text import escape
from customspec.saved import sealed
from customspec.store import Store, store_key

WHOLE = "--json has them"


@click.command("plan")
@spec_argument
@choice_options
@device_option
@store_option
@click.option("--out", type=click.Path(path_type=Path), help="Write the plan, for `customspec run PLAN`.")
@click.option("--true-value", type=float, help="How many rows show the goal if this is the metric's true value.")
@json_option
def command(
    spec: Path,
    store: Path | None,
    out: Path | None,
    device: str,
    true_value: float | None,
    *,
    as_json: bool,
    **choices: Any,
) -> int:
    """Show what `customspec run SPEC` would do. Runs nothing, opens no connection."""
    machine = detect(device)
    root = store_root(spec, store)
    compiled = make_plan(spec, root, machine, **choices)
    memo = Store(root).memo(MEMO)
    cached = cached_steps(compiled.plan, Store(root), machine)
    if out is not None:
        _write(compiled, out)
    found = goal_rows(compiled.claim, memo, true_value)
    if as_json:
        found_json = None if found is None else found.to_json()
        more = {"digest": compiled.plan.digest, "cached": cached, "goal_rows": found_json}
        show_json({**sealed(compiled.plan), **more})
    else:
        _print(compiled, cached)
        _print_notes(compiled, goal_lines(compiled.claim, memo, true_value))
    return Exit.DONE


def cached_steps(plan: Plan, store: Store, machine: Machine) -> dict[str, bool]:
    """For every step, whether the store holds its result."""
    return {step.id: store.has(store_key(step.fingerprint, machine.key())) for step in plan.steps}


def _write(compiled: Compiled, out: Path) -> None:
    if compiled.unresolved:
        raise UsageError(f"no plan is written: {', '.join(compiled.unresolved)} is not here yet; `run` fetches it")
    write_out(out, json.dumps(sealed(compiled.plan), indent=1, allow_nan=False) + "\n")


def _print(compiled: Compiled, cached: dict[str, bool]) -> None:
    from customspec.report.tables import DISPENSABLE_OF_A_PLAN, DISPENSABLE_OF_CANDIDATES, candidates_table, plan_table

    plan = compiled.plan
    print_table(candidates_table(plan), DISPENSABLE_OF_CANDIDATES, elsewhere=WHOLE)
    if not all(candidate.estimate.get("calibrated") for candidate in plan.candidates):
        click.echo("memory and time are assumed, by the kind of machine: `customspec run` measures this one first")
    for candidate in plan.candidates:
        if candidate.skipped is not None:
            click.echo(f"skipped: {candidate.key}: {candidate.skipped}")
    gauge = next((one for one in plan.candidates if one.gauge and one.skipped is None), None)
    if gauge is not None:
        click.echo(f"gauge: {gauge.key} shows what a larger model does, and is not chosen")
    click.echo()
    print_table(plan_table(plan, cached), DISPENSABLE_OF_A_PLAN, elsewhere=WHOLE)
    done = sum(cached.values())
    click.echo(f"\n{plan.name}: {len(plan.steps) - done} steps to run, {done} cached ({plan.digest[:19]})")


def _print_notes(compiled: Compiled, goal: Sequence[str]) -> None:
    for line in goal:
        click.echo(line)
    for note in compiled.notes:
        click.echo(f"note: {escape(note)}")
    for label in compiled.unresolved:
        click.echo(f"unresolved: {escape(label)} is not in the local cache; `customspec run` fetches it")
