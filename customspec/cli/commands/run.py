"""`customspec run SPEC|PLAN`: executes; a table and the decision at the end, or the results document."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from customspec import __version__
from customspec.cli.locks import check_locked, locked_section, pins
from customspec.cli.options import Amount, choice_options, device_option, json_option, spec_argument, store_option
from customspec.cli.output import show_json, stdout_apart
from customspec.cli.places import store_root
from customspec.cli.planning import make_plan, resolved_plan
from customspec.cli.printing import command_line, print_table
from customspec.cli.progress import logged, watching
from customspec.cli.roots import roots_of
from customspec.compiler import Compiled
from customspec.compiler.curve import check_shares
from customspec.compiler.locking import Section
from customspec.decide.wording import short_run
from customspec.errors import Exit, RefusedError, Terminated, UsageError
from customspec.hookspecs import Watcher
from customspec.inputs.regular import read_regular
from customspec.machine import Machine, detect
from customspec.plan import Plan
from customspec.registry import discover
from customspec.report.curve import curve_lines
from customspec.report.logs import say, tell
from customspec.report.tables import DISPENSABLE_OF_RESULTS, decision_lines, results_table
from customspec.runners.curve import CurveRun, run_curve
from customspec.runners.folder import begun, keeping_logs, logging_to, refers, write_run
from customspec.runners.freshness import check_fresh
from customspec.runners.killed import killed_runs
from customspec.runners.limits import Limits
from customspec.runners.local import run_plan
from customspec.runners.machine_rates import calibrate
from customspec.runners.outcome import Outcome
from customspec.runners.watching import Watched, find_watchers, watched
from customspec.runners.work import CHECKPOINT_SECONDS, Host
from customspec.saved import EditedError, NoPlanError, check_sense, load
from customspec.store import Store, writing_under

log = logging.getLogger("customspec")


@click.command("run")
@spec_argument
@choice_options
@device_option
@store_option
@click.option("--watch", multiple=True, metavar="NAME", help="Follow with a watcher: tensorboard; may be repeated.")
@click.option("--curve", metavar="25,50,100", help="Train the chosen candidate on these percentages of the rows, too.")
@click.option("--locked", is_flag=True, help="Refuse to run unless all is as customspec.lock has it.")
@click.option(
    "--checkpoint-minutes",
    type=Amount(),
    default=CHECKPOINT_SECONDS / 60,
    show_default=True,
    help="Minutes of training between two checkpoints; 0: after every step.",
)
@click.option("--require-goal", is_flag=True, help="Exit with 3 when the goal was not shown to be met.")
@json_option
def command(
    spec: Path,
    store: Path | None,
    device: str,
    watch: tuple[str, ...],
    curve: str | None,
    *,
    checkpoint_minutes: float,
    locked: bool,
    require_goal: bool,
    as_json: bool,
    **choices: Any,
) -> int:
    """Run a spec, or a plan that `customspec plan --out` wrote. What the store already holds is not run again."""
    with keeping_logs() as earlier:
        machine, watchers = detect(device), find_watchers(watch, discover())
        shares = None if curve is None else check_shares(curve)
        compiled = None
        if spec.suffix == ".json":
            if locked:
                raise UsageError("--locked: a saved plan is checked against what it was made of already")
            plan, root = _saved_plan(spec, store, {**choices, "curve": shares})
        else:
            root = store_root(spec, store)
            with writing_under(root):
                compiled = (_locked if locked else _compiled)(spec, root, machine, choices)
            plan = compiled.plan
    if require_goal and plan.goal is None:
        raise UsageError("--require-goal: the spec has no `goal`")
    seconds = 60 * checkpoint_minutes
    after = None
    if shares is not None and compiled is not None:
        after = partial(run_curve, compiled, shares, checkpoint_seconds=seconds)
    with writing_under(root):
        with stdout_apart():
            ran = _execute(plan, Host(Store(root), discover(), machine), watchers, after, seconds, earlier)
        code = _tell(plan, ran, require_goal=require_goal, as_json=as_json)
    if short := short_run(plan.shortened):
        tell(short)
    return code


def _compiled(
    spec: Path, root: Path, machine: Machine, choices: dict[str, Any], section: Section | None = None
) -> Compiled:
    compiled = resolved_plan(spec, root, machine, **choices)
    if section is not None:
        check_locked(spec, section, compiled.plan)
    host = Host(Store(root), discover(), machine)
    with stdout_apart():
        measured = calibrate(compiled.plan, host, say)
    if measured:
        compiled = make_plan(spec, root, machine, **choices)
    for note in compiled.notes:
        say(f"note: {note}")
    return compiled


def _locked(spec: Path, root: Path, machine: Machine, choices: dict[str, Any]) -> Compiled:
    if any(value for name, value in choices.items() if name != "allow_root"):
        raise UsageError("--locked runs the spec as it is: without --only, --set, --limit and --max-steps")
    roots_of(spec, choices["allow_root"])
    section = locked_section(spec)
    return _compiled(spec, root, machine, {**choices, "sets": pins(spec, section)}, section)


def _saved_plan(file: Path, store: Path | None, choices: dict[str, Any]) -> tuple[Plan, Path]:
    allowed = choices.pop("allow_root")
    if any(choices.values()):
        raise UsageError(
            "a saved plan runs as it is: --only, --set, --limit and --max-steps belong to `plan --out`, and --curve "
            "to a spec"
        )
    try:
        plan = load(read_regular(file, follow=True))
        check_sense(plan)
    except EditedError as edited:
        raise RefusedError(f"{file}: {edited}. Make a new one with `customspec plan --out`") from edited
    except (OSError, NoPlanError) as error:
        raise UsageError(f"{file} is no plan of `customspec plan --out`: {error}") from error
    spec = Path(plan.sources["spec"])
    root = store_root(spec, store)
    check_fresh(plan, discover(), root, roots_of(spec, allowed))
    return plan, root


@dataclass(frozen=True)
class _Ran:
    """A run that has ended: its folder, what became of its steps, its curve where one was asked for, its results."""

    folder: Path
    outcome: Outcome
    curve: CurveRun | None
    document: dict[str, Any]


def _execute(
    plan: Plan,
    host: Host,
    watchers: Sequence[Watcher],
    after: Callable[..., CurveRun] | None,
    checkpoint_seconds: float,
    earlier: Sequence[logging.LogRecord],
) -> _Ran:
    """Run the plan, then what comes `after` it, and write the run's folder, of an interrupted run too."""
    with (
        begun(plan, host.store, host.machine) as folder,
        logging_to(folder, earlier),
        watching() as shown,
        watched(plan, folder, displays := (shown, logged()), watchers, say) as following,
    ):
        _log_start(plan, host.machine)
        for told in killed_runs(host.store):
            log.warning(told)
        limits, curve = Limits.of(plan), None
        outcome = run_plan(plan, host, following, checkpoint_seconds=checkpoint_seconds, limits=limits)
        try:
            # its steps are none of the plan's, so the watchers don't see them
            if after is not None and outcome.stopped is None:
                begins = partial(refers, folder, host=host)
                curve = after(outcome, host, watcher=Watched(displays, (), say), limits=limits, begins=begins)
        except (KeyboardInterrupt, Terminated) as interrupt:
            outcome = replace(outcome, stopped=interrupt)
        document = write_run(folder, plan, outcome, host, None if curve is None else curve.document)
        following.run_finished(document)
        _log_end(plan, outcome, document)
    return _Ran(folder, outcome, curve, document)


def _log_start(plan: Plan, machine: Machine) -> None:
    on = f"{machine.device_name}, {machine.torch_device}, {machine.compute_dtype}"
    log.info("customspec %s runs %s, plan %s, on %s", __version__, plan.name, plan.digest, on)
    for candidate in plan.candidates:
        if candidate.skipped is not None:
            log.info("%s is skipped: %s", candidate.key, candidate.skipped)


def _log_end(plan: Plan, outcome: Outcome, document: dict[str, Any]) -> None:
    if outcome.stopped is not None:
        log.info("the run was interrupted")
    for line in (short_run(plan.shortened), *decision_lines(document), *curve_lines(document)):
        if line:
            log.info(line)


def _tell(plan: Plan, ran: _Ran, *, require_goal: bool, as_json: bool) -> int:
    """Print what the run found; the exit code. Raises what interrupted it."""
    if ran.outcome.stopped is not None:
        tell(f"what is finished is in the run folder: {_near(ran.folder)}")
        raise ran.outcome.stopped
    if as_json:
        show_json(ran.document)
    else:
        _print(ran.document, plan, ran.outcome, ran.folder)
    for ended in (ran.outcome, None if ran.curve is None else ran.curve.outcome):
        if ended is not None and ended.failed:
            return ended.exit
    missed = require_goal and ran.document["decision"]["goal_met"] is not True
    return Exit.GOAL_NOT_MET if missed else Exit.DONE


def _print(document: dict[str, Any], plan: Plan, outcome: Outcome, folder: Path) -> None:
    click.echo()
    table = results_table(document, plan.metrics[0])
    print_table(table, DISPENSABLE_OF_RESULTS, elsewhere="`customspec report` and --json have them")
    click.echo("\n" + "\n".join(decision_lines(document)))
    for line in curve_lines(document):
        click.echo(line)
    if outcome.all_known:
        click.echo("nothing was executed: every result was in the store")
    click.echo(f"run folder: {_near(folder)}")
    click.echo(f"with its evidence, as a page: {command_line('report', _near(folder))}")


def _near(folder: Path) -> Path:
    """The path from the working folder, where it lies below that."""
    here = Path.cwd()
    whole = folder.resolve()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole
