"""`customspec export RUN`: the chosen candidate handed over, for use without customspec."""

from __future__ import annotations

from pathlib import Path

import click

from customspec.cli.options import device_option, json_option, store_option
from customspec.cli.output import show_json, stdout_apart
from customspec.cli.reopening import ChosenCandidate, candidate_option, read_chosen, reopened
from customspec.cli.roots import allow_root_option
from customspec.cli.runs import run_argument
from customspec.errors import Exit
from customspec.report.text import escape
from customspec.runners.export.exporting import Exported, export


@click.command("export")
@run_argument
@candidate_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write, new or empty [NAME-CANDIDATE, here]."
)
@click.option("--merge", is_flag=True, help="A whole model: the adapter in the base's weights, and tried.")
@device_option
@store_option
@allow_root_option
@json_option
def command(
    run: str,
    *,
    candidate: str | None,
    out: Path | None,
    device: str,
    store: Path | None,
    allow_root: tuple[Path, ...],
    merge: bool,
    as_json: bool,
) -> int:
    """Hand the chosen candidate over: adapter, whole model or prompt, each with a card and how to serve it.

    RUN is a run folder, a run's id, or a spec (its latest run).
    """
    chosen = read_chosen(run, candidate, store, allow_root)
    with stdout_apart(), reopened(chosen, "export", device, store, allow_root) as opened:
        exported = export(opened, chosen.document, out or _default(chosen, merge=merge), merged=merge)
    if as_json:
        show_json(exported.to_json())
    else:
        _print(exported)
    return Exit.DONE


def _default(chosen: ChosenCandidate, *, merge: bool) -> Path:
    # `@` would make `transformers serve` look for a revision
    return Path(f"{chosen.plan.name}-{chosen.key.replace('@', '-')}{'-merged' if merge else ''}")


def _print(exported: Exported) -> None:
    click.echo(f"{exported.folder}: {exported.candidate}, {len(exported.files)} files; README.md is its card")
    if exported.parity is not None:
        same = f"{exported.parity.same} of {exported.parity.rows} {exported.parity.split} rows"
        click.echo(f"merged and unmerged answer alike on {same}, {exported.parity.ties} are ties")
    for served in exported.served:
        click.echo(f"{served.server}: {escape(served.command or f'no, {served.why}')}")
