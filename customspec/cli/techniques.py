"""`customspec techniques [NAME]`: what is installed, from which distribution, with its options."""

from __future__ import annotations

import json
from typing import Any

import click

from customspec.cli.common import json_option, show_json
from customspec.errors import Exit, PluginError, UsageError
from customspec.registry import Registry, discover
from customspec.schema import options_table
from customspec.suggest import closest


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
        _list(rows)
    return Exit.DONE


def _row(name: str, registry: Registry) -> dict[str, Any]:
    first = registry.offers["technique", name][0]
    row: dict[str, Any] = {"name": name, "family": None, "distribution": first.distribution, "version": first.version}
    try:
        technique = registry.technique(name)
    except PluginError as error:
        return {**row, "summary": None, "problem": str(error)}
    return {**row, "family": technique.family, "summary": technique.summary}


def _list(rows: list[dict[str, Any]]) -> None:
    width = max((len(row["name"]) for row in rows), default=0)
    for row in sorted(rows, key=lambda row: (str(row["family"]), row["name"])):
        told = row["summary"].partition(". ")[0] if row["summary"] else f"unusable: {row['problem']}"
        click.echo(f"{row['name']:<{width}}  {row['family'] or '-':<9}  {row['distribution']} {row['version']}  {told}")


def _describe(name: str, registry: Registry, as_json: bool) -> int:
    if ("technique", name) not in registry.offers:
        nearest = closest(name, registry.names("technique"))
        raise UsageError(f"no technique `{name}` is installed" + (f"; did you mean `{nearest}`?" if nearest else ""))
    technique, row = registry.technique(name), _row(name, registry)
    options = options_table(technique.options)
    if as_json:
        show_json({**row, "options": options})
        return Exit.DONE
    click.echo(f"{name} ({row['family']}), from {row['distribution']} {row['version']}\n\n{technique.summary}\n")
    for option in options:
        click.echo(f"  {_signature(option)}\n      {option['description']}")
    return Exit.DONE


def _signature(option: dict[str, Any]) -> str:
    """`r: integer = 8 (at least 1, at most 4096)`; no default is shown where the technique chooses."""
    default = option["default"]
    written = default if isinstance(default, str) else json.dumps(default)
    value = ", required" if option["required"] else "" if default is None else f" = {written}"
    limits = f" ({', '.join(option['constraints'])})" if option["constraints"] else ""
    return f"{option['name']}: {option['type']}{value}{limits}"
