"""`customspec compare RUN RUN…`: runs side by side, what differed in their specs, and the statistics across them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from customspec.cli.options import json_option, store_option
from customspec.cli.output import show_json
from customspec.cli.printing import print_table
from customspec.cli.roots import allow_root_option
from customspec.cli.runs import read_named, reading
from customspec.errors import Exit, UsageError
from customspec.registry import discover
from customspec.report.changes import changes
from customspec.report.finished import Finished
from customspec.report.side_by_side import (
    DISPENSABLE_OF_PAIRS,
    DISPENSABLE_OF_RUNS,
    change_lines,
    pairs_table,
    runs_table,
)
from customspec.report.text import escape
from customspec.runners.comparing import compare_runs

if TYPE_CHECKING:
    from rich.table import Table


@click.command("compare")
@click.argument("runs", metavar="RUN RUN…", nargs=-1, required=True)
@store_option
@allow_root_option
@json_option
def command(runs: tuple[str, ...], store: Path | None, allow_root: tuple[Path, ...], *, as_json: bool) -> int:
    """Put runs side by side: their answers, what differed in their specs, and the verdicts on the rows they share.

    Each RUN is a run folder, a run's id, or a spec (its latest run).
    """
    found = _named([read_named(named, store, allow_root) for named in runs])
    if len(found) < 2:
        raise UsageError("to compare takes two runs, or more")
    registry = discover()
    with reading(Path(", ".join(str(run.folder) for run in found.values()))):
        compared = compare_runs(found, registry)
        document = {
            "compare": 1,
            "runs": [_run(name, run, compared["metric"]) for name, run in found.items()],
            "changes": _changes(found),
            **compared,
        }
        lines, tables = _lines(document), (runs_table(document), pairs_table(document))
    if as_json:
        show_json(document)
    else:
        _print(lines, tables)
        for alone in document["without_verdict"]:
            click.echo(f"\n{escape(alone['reason'])}")
    return Exit.DONE


def _named(runs: Sequence[Finished]) -> dict[str, Finished]:
    """The runs by id, or by folder where two stores have a run of the same id. A run that is named twice is taken
    once."""
    folders = {run.folder.resolve(): run for run in runs}
    names = [run.name for run in folders.values()]
    twice = len(set(names)) < len(names)
    return {str(folder) if twice else run.name: run for folder, run in folders.items()}


def _run(name: str, run: Finished, metric: str) -> dict[str, Any]:
    decision = run.results["decision"]
    answer = {key: decision[key] for key in ("answer", "ending", "goal_met", "chosen_key")}
    candidates = [
        {
            **{key: candidate[key] for key in ("key", "technique", "seed", "status", "cost")},
            "metrics": {split: (found or {}).get(metric) for split, found in candidate["metrics"].items()},
        }
        for candidate in run.candidates
    ]
    return {"run": name, "name": run.results["name"], **answer, "candidates": candidates}


def _changes(runs: Mapping[str, Finished]) -> list[dict[str, Any]]:
    """What each run's spec says otherwise than the first one's."""
    (first, base), *others = runs.items()
    return [
        {"from": first, "to": name, "settings": [change.to_json() for change in changes(base.plan, run.plan)]}
        for name, run in others
    ]


def _lines(document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What stands above the table of the runs, and between it and the pairs."""
    answers = [f"{escape(run['run'])}: {escape(run['answer'])}" for run in document["runs"]]
    return answers, [line for changed in document["changes"] for line in ("", *change_lines(changed))]


def _print(lines: tuple[list[str], list[str]], tables: tuple[Table, Table]) -> None:
    for above, table, dispensable in zip(lines, tables, (DISPENSABLE_OF_RUNS, DISPENSABLE_OF_PAIRS), strict=True):
        for line in above:
            click.echo(line)
        click.echo()
        print_table(table, dispensable, elsewhere="--json has them")
