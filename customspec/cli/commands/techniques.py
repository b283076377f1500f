"""`customspec techniques [NAME]`: what is installed, from which distribution, with its options."""

from __future__ import annotations

from typing import Any

import click

from customspec.cli.listing import check_known, echo_options, echo_rows, plugin_row
from customspec.cli.options import json_option
from customspec.cli.output import show_json
from customspec.containment import plugin_code
from customspec.errors import Exit
from customspec.registry import Registry, check_extra, discover
from customspec.schema import options_table


@click.command("techniques")
@click.argument("name", required=False)
@json_option
def command(name: str | None, *, as_json: bool) -> int:
    """List the installed techniques, or describe one with its options."""
    registry = discover()
    if name is not None:
        return _describe(name, registry, as_json)
    rows = [_row(known, registry) for known in registry.names("technique")]
    if as_json:
        show_json(rows)
    else:
        ordered = sorted(rows, key=lambda row: (str(row["family"]), row["name"]))
        echo_rows(ordered, lambda row: row["family"] or "-")
    return Exit.DONE


def _row(name: str, registry: Registry) -> dict[str, Any]:
    def tell(name: str) -> dict[str, Any]:
        technique = registry.technique(name)
        check_extra("technique", technique)
        return {"family": technique.family, "summary": technique.summary}

    return {"name": name, "family": None, **plugin_row("technique", name, registry, tell)}


def _describe(name: str, registry: Registry, as_json: bool) -> int:
    check_known("technique", name, registry)
    technique, row = registry.technique(name), _row(name, registry)
    with plugin_code(registry.offer("technique", name).item):
        options = options_table(technique.options)
    if as_json:
        show_json({**row, "options": options})
        return Exit.DONE
    click.echo(f"{name} ({technique.family}), from {row['distribution']} {row['version']}\n\n{technique.summary}\n")
    if "problem" in row:
        click.echo(f"unusable: {row['problem']}\n")
    echo_options(options)
    return Exit.DONE
