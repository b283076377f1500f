"""`customspec plugin new` and `customspec plugin check`: for those who write techniques and metrics of their own."""

from __future__ import annotations

import click

from customspec.cli.commands.plugin_check import check
from customspec.cli.commands.plugin_new import new


@click.group("plugin")
def command() -> None:
    """Write a plugin, and check one against the contract."""


command.add_command(new)
command.add_command(check)
