"""`customspec report RUN`: all that a person reads of a finished run, as one page or for a pull request."""

from __future__ import annotations

from pathlib import Path

import click

from customspec.cli.options import json_option, store_option
from customspec.cli.output import show_json
from customspec.cli.roots import allow_root_option
from customspec.cli.runs import read_named, reading, run_argument
from customspec.cli.writing import write_out
from customspec.errors import Exit, UsageError
from customspec.inputs.writing import replace_file
from customspec.store import writing_under


@click.command("report")
@run_argument
@click.option("--format", "form", type=click.Choice(["html", "markdown"]), default="html", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write; - is stdout. [report.html in the run]")
@click.option("--base", metavar="RUN", help="Markdown: what differs from this run, in its spec and its results.")
@store_option
@allow_root_option
@json_option
def command(
    run: str,
    form: str,
    out: Path | None,
    base: str | None,
    store: Path | None,
    allow_root: tuple[Path, ...],
    *,
    as_json: bool,
) -> int:
    """Write what a finished run found: the answer, its evidence, and where every number comes from.

    RUN is a run folder, a run's id, or a spec (its latest run).
    """
    if base is not None and form != "markdown" and not as_json:
        raise UsageError("--base belongs to --format markdown; side by side: customspec compare")
    from customspec.report.view import view_of

    finished = read_named(run, store, allow_root)
    with reading(finished.folder):
        view = view_of(finished)
    if as_json:
        show_json(view)
        return Exit.DONE
    if form == "markdown":
        from customspec.report.markdown import markdown_of

        against = None if base is None else read_named(base, store, allow_root)
        with reading(finished.folder):
            text = markdown_of(view, finished, against)
        _write(text, out)
        return Exit.DONE
    from customspec.report.page import page_of

    with reading(finished.folder):
        page = page_of(view)
    target = out or finished.folder / "report.html"
    if out is None:
        with writing_under(target):  # what lies there is replaced, and never written through
            replace_file(target, page.encode(), mode=0o644)
    else:
        _write(page, out)
    if str(target) != "-":
        click.echo(f"report: {target}")
    return Exit.DONE


def _write(text: str, out: Path | None) -> None:
    if out is None or str(out) == "-":
        click.echo(text, nl=False)
    else:
        write_out(out, text)
