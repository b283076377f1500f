"""`customspec predict RUN [ROWS]`: a run's chosen candidate answers new rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from customspec.cli.options import device_option, store_option
from customspec.cli.output import stdout_apart
from customspec.cli.reopening import candidate_option, read_chosen, reopened
from customspec.cli.roots import allow_root_option
from customspec.cli.runs import run_argument
from customspec.cli.writing import write_out
from customspec.errors import Exit, UsageError
from customspec.inputs.formats import read_jsonl
from customspec.inputs.rows import RowError, read_rows
from customspec.prompts import Row
from customspec.runners.predict import predict


@click.command("predict")
@run_argument
@click.argument("rows", type=click.Path(path_type=Path, dir_okay=False), required=False)
@candidate_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the answers here, not to stdout.")
@device_option
@store_option
@allow_root_option
@click.option("--json", is_flag=True, expose_value=False, help="Print JSON lines, as it does anyway.")
def command(
    run: str,
    rows: Path | None,
    *,
    candidate: str | None,
    out: Path | None,
    device: str,
    store: Path | None,
    allow_root: tuple[Path, ...],
) -> int:
    """Answer new rows: a jsonl, json, csv or parquet file, or JSON lines on stdin. Prints JSON lines.

    RUN is a run folder, a run's id, or a spec (its latest run).
    """
    chosen = read_chosen(run, candidate, store, allow_root)
    queries = tuple(_read(rows))
    with stdout_apart(), reopened(chosen, "predict", device, store, allow_root) as opened:
        answers = predict(opened, queries)
    lines = "".join(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n" for answer in answers)
    if out is None:
        click.echo(lines, nl=False)
    else:
        write_out(out, lines)
    return Exit.DONE


def _read(rows: Path | None) -> Iterator[Row]:
    try:
        if rows is not None and str(rows) != "-":
            yield from read_rows("new", [(str(rows), rows)])
            return
        for number, (place, fields) in enumerate(read_jsonl("stdin", sys.stdin.buffer), start=1):
            yield Row(f"new:{number}", fields, place)
    except RowError as error:
        raise UsageError(f"{error}; {error.hint}" if error.hint else str(error)) from error
