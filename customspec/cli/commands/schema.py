"""`customspec schema`: the JSON Schema of specs, with the options of every installed technique."""

from __future__ import annotations

import click

from customspec.cli.options import json_option
from customspec.cli.output import show_json
from customspec.errors import Exit
from customspec.registry import discover
from customspec.schema import spec_schema


@click.command("schema")
@json_option
def command(*, as_json: bool) -> int:  # noqa: ARG001  # it is JSON either way
    """Print the JSON Schema, for editors and checkers."""
    show_json(spec_schema(discover()))
    return Exit.DONE
