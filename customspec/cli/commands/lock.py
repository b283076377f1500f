"""`customspec lock SPEC`: what the spec runs on, written down beside it."""

from __future__ import annotations

from pathlib import Path

import click

from customspec.cli.locks import write_lock
from customspec.cli.options import device_option, json_option, spec_argument, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_root
from customspec.cli.planning import resolved_plan
from customspec.cli.printing import command_line
from customspec.cli.roots import allow_root_option
from customspec.compiler.locking import section_of
from customspec.errors import Exit
from customspec.machine import detect
from customspec.report.text import escape


@click.command("lock")
@spec_argument
@device_option
@store_option
@allow_root_option
@json_option
def command(spec: Path, store: Path | None, device: str, allow_root: tuple[Path, ...], *, as_json: bool) -> int:
    """Write customspec.lock beside SPEC: digests of all that its results depend on. May connect to a hub."""
    compiled = resolved_plan(spec, store_root(spec, store), detect(device), allow_root=allow_root)
    file = write_lock(spec, compiled.plan)
    if as_json:
        show_json(section_of(compiled.plan))
    else:
        click.echo(f"wrote {escape(str(file))}; run with: {command_line('run', '--locked', spec)}")
    return Exit.DONE
