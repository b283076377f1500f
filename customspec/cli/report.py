"""`customspec report RUN`: all that a person reads of a finished run, as one page or for a pull request."""

from __future__ import annotations

from pathlib import Path

import click

from customspec.cli.common import json_option, show_json, store_option
from customspec.cli.runs import find_run, run_argument
from customspec.errors import Exit, UsageError
from customspec.report.finished import Finished, read_finished
from customspec.store import writing_under


@click.command("report")
@run_argument
@click.option("--format", "form", type=click.Choice(["html", "markdown"]), default="html", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write; - is stdout. [report.html in the run]")
@click.option("--base", metavar="RUN", help="Markdown: what differs from this run, in its spec and its results.")
@store_option
@json_option
def command(run: str, form: str, out: Path | None, base: str | None, store: Path | None, *, as_json: bool) -> int:
    """Write what a finished run found: the answer, its evidence, and where every number comes from.

    RUN is a run folder, a run's id, or a spec (its latest run).
    """
    if base is not None and form != "markdown" and not as_json:
        raise UsageError("--base belongs to --format markdown; side by side: customspec compare")
    from customspec.report.view import view_of

    finished = load(run, store)
    view = view_of(finished)
    if as_json:
        show_json(view)
        return Exit.DONE
    if form == "markdown":
        from customspec.report.markdown import markdown_of

        _write(markdown_of(view, finished, None if base is None else load(base, store)), out)
        return Exit.DONE
    from customspec.report.page import page_of

    target = out or finished.folder / "report.html"
    _write(page_of(view), target)
    if str(target) != "-":
        click.echo(f"report: {target}")
    return Exit.DONE


def load(named: str, store: Path | None) -> Finished:
    """A run by what it is called on the command line. Raises UsageError."""
    folder = find_run(named, store)
    try:
        return read_finished(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} is no run folder that can be read: {error}") from error


def _write(text: str, out: Path | None) -> None:
    if out is None or str(out) == "-":
        click.echo(text, nl=False)
    else:
        with writing_under(out):
            out.write_text(text, encoding="utf-8")
