"""`customspec predict RUN [ROWS]`: a run's chosen candidate answers new rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from customspec.cli.common import device_option, store_option
from customspec.cli.progress import watching
from customspec.errors import Exit, UsageError
from customspec.inputs.formats import read_jsonl
from customspec.inputs.rows import RowError, read_rows
from customspec.machine import detect
from customspec.prompts import Row
from customspec.registry import discover
from customspec.runners.folder import read_run
from customspec.runners.predict import Predictor
from customspec.store import Store


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("rows", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--candidate", metavar="KEY", help="Another candidate than the chosen one, for instance lora@0.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the answers here instead of stdout.")
@device_option
@store_option
def command(
    run: Path, rows: Path | None, candidate: str | None, out: Path | None, device: str, store: Path | None
) -> int:
    """Answer new rows: a jsonl, json, csv or parquet file, or JSON lines on stdin. Prints JSON lines."""
    try:
        plan, document = read_run(run)
        key = candidate or document["decision"]["chosen_key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run} is no run folder: {error}") from error
    if key is None:
        raise UsageError("the run chose no candidate; name one with --candidate")
    queries = tuple(_read(rows))
    root = store or _store_of(run)
    with watching() as watcher:
        predictor = Predictor(plan, key, run, Store(root), discover(), detect(device), watcher)
        answers = predictor.answer(queries)
    lines = "".join(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n" for answer in answers)
    if out is None:
        click.echo(lines, nl=False)
    else:
        out.write_text(lines, encoding="utf-8")
    return Exit.DONE


def _store_of(run: Path) -> Path:
    """The store that the run folder lies in. Raises UsageError where it lies in none: nothing is written elsewhere."""
    root = run.resolve().parent.parent
    if not (root / "objects").is_dir():
        raise UsageError(f"{run} lies in no store; name one with --store (it keeps the model, for the next time)")
    return root


def _read(rows: Path | None) -> Iterator[Row]:
    try:
        if rows is not None:
            yield from read_rows("new", [(str(rows), rows)])
            return
        for number, (place, fields) in enumerate(read_jsonl("stdin", sys.stdin.buffer), start=1):
            yield Row(f"new:{number}", fields, place)
    except RowError as error:
        raise UsageError(str(error)) from error
