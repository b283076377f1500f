"""`customspec watchers`: what `run --watch` can name, from which distribution."""

from __future__ import annotations

from typing import Any

import click

from customspec.cli.listing import echo_rows, plugin_row
from customspec.cli.options import json_option
from customspec.cli.output import show_json
from customspec.errors import Exit
from customspec.registry import check_extra, discover


@click.command("watchers")
@json_option
def command(*, as_json: bool) -> int:
    """List the installed watchers: what `customspec run --watch NAME` can follow a run with."""
    registry = discover()

    def tell(name: str) -> dict[str, Any]:
        watcher = registry.watcher(name)
        check_extra("watcher", watcher)
        return {"summary": watcher.summary}

    rows = [plugin_row("watcher", name, registry, tell) for name in registry.names("watcher")]
    if as_json:
        show_json(rows)
    else:
        echo_rows(rows, lambda row: "unusable" if "problem" in row else "ready")
    return Exit.DONE
