"""`customspec explain CODE`: what is behind a problem's code, with an example of wrong and right."""

from __future__ import annotations

import click

from customspec.cli.options import json_option
from customspec.cli.output import show_json
from customspec.errors import Code, Exit, UsageError
from customspec.report.explanations import as_json, as_text, explanations
from customspec.suggest import closest


@click.command("explain")
@click.argument("code", required=False)
@json_option
def command(code: str | None, *, as_json: bool) -> int:
    """Tell more about a problem's code, such as CS201; without one, list them all."""
    known = explanations()
    if code is None:
        return _list(wants_json=as_json)
    found = code.upper()
    if found not in known:
        nearest = closest(found, [str(one) for one in known], {})
        raise UsageError(f"no code {code}" + (f"; did you mean {nearest}?" if nearest else ""))
    _show(Code(found), wants_json=as_json)
    return Exit.DONE


def _list(*, wants_json: bool) -> int:
    known = explanations()
    if wants_json:
        show_json([as_json(code, explained) for code, explained in known.items()])
    else:
        click.echo("\n".join(f"{code}  {explained.title}" for code, explained in known.items()))
    return Exit.DONE


def _show(code: Code, *, wants_json: bool) -> None:
    explained = explanations()[code]
    if wants_json:
        show_json(as_json(code, explained))
    else:
        click.echo(as_text(code, explained))
