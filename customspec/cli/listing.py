"""Shared by the commands that list installed plugins: a row for each, usable or not, and the options of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from textwrap import indent
from typing import Any

import click

from customspec.containment import plugin_code
from customspec.errors import PluginError, UsageError
from customspec.registry import Kind, Registry
from customspec.suggest import closest

Row = dict[str, Any]


def plugin_row(kind: Kind, name: str, registry: Registry, tell: Callable[[str], Mapping[str, Any]]) -> Row:
    """A plugin's row: its name, its distribution, and what `tell` adds. Where it cannot be used, `summary` is None and
    `problem` says why."""
    first = registry.offers[kind, name][0]
    row = {"name": name, "distribution": first.distribution, "version": first.version}
    try:
        with plugin_code(registry.offer(kind, name).item):
            return {**row, **tell(name)}
    except PluginError as error:
        return {**row, "summary": None, "problem": str(error)}


def check_known(kind: Kind, name: str, registry: Registry) -> None:
    """Raises UsageError for a name that nobody offers."""
    if (kind, name) not in registry.offers:
        nearest = closest(name, registry.names(kind))
        raise UsageError(f"no {kind} `{name}` is installed" + (f"; did you mean `{nearest}`?" if nearest else ""))


def echo_rows(rows: Iterable[Row], column: Callable[[Row], str]) -> None:
    """A line a plugin: name, a column of its kind's own, who offers it, and its first sentence."""
    lines = [(row["name"], column(row), f"{row['distribution']} {row['version']}", _first(row)) for row in rows]
    widths = [max((len(line[place]) for line in lines), default=0) for place in range(3)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line[:3], widths, strict=True))
        click.echo("  ".join((*cells, line[3])))


def echo_options(options: Iterable[Mapping[str, Any]]) -> None:
    """The options as `options_table` has them."""
    for option in options:
        click.echo(f"  {_signature(option)}\n{indent(option['description'], ' ' * 6)}")


def _signature(option: Mapping[str, Any]) -> str:
    """`r: integer = 8 (at least 1, at most 4096)`; no default is shown where the technique chooses."""
    default = option["default"]
    written = default if isinstance(default, str) else json.dumps(default)
    value = ", required" if option["required"] else "" if default is None else f" = {written}"
    limits = f" ({', '.join(option['constraints'])})" if option["constraints"] else ""
    return f"{option['name']}: {option['type']}{value}{limits}"


def _first(row: Row) -> str:
    sentence: str = (
        row["summary"].partition(". ")[0].removesuffix(".") if row["summary"] else f"unusable: {row['problem']}"
    )
    return sentence
