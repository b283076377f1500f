"""`customspec metrics [NAME]`: what is installed, from which distribution, with range, direction and options."""

from __future__ import annotations

from typing import Any

import click

from customspec.cli.listing import check_known, echo_options, echo_rows, plugin_row
from customspec.cli.options import json_option
from customspec.cli.output import show_json
from customspec.containment import plugin_code
from customspec.errors import Exit
from customspec.registry import Registry, check_extra, discover, metric_options
from customspec.runners.results import finite
from customspec.schema import options_table


@click.command("metrics")
@click.argument("name", required=False)
@json_option
def command(name: str | None, *, as_json: bool) -> int:
    """List the installed metrics, or describe one with its options."""
    registry = discover()
    if name is not None:
        return _describe(name, registry, as_json)
    rows = [_row(known, registry) for known in registry.names("metric")]
    if as_json:
        show_json(finite(rows))
    else:
        echo_rows(rows, lambda row: row.get("task", "-"))
    return Exit.DONE


def _row(name: str, registry: Registry) -> dict[str, Any]:
    def tell(name: str) -> dict[str, Any]:
        metric = registry.metric(name)
        check_extra("metric", metric)
        members = ("task", "lowest", "highest", "higher_is_better", "summary")
        return {key: getattr(metric, key) for key in members}

    return plugin_row("metric", name, registry, tell)


def _describe(name: str, registry: Registry, as_json: bool) -> int:
    check_known("metric", name, registry)
    metric, row = registry.metric(name), _row(name, registry)
    with plugin_code(registry.offer("metric", name).item):
        options = options_table(metric_options(metric))
    if as_json:
        show_json(finite({**row, "options": options}))
        return Exit.DONE
    click.echo(f"{name} ({metric.task}), from {row['distribution']} {row['version']}\n\n{metric.summary}\n")
    if "problem" in row:
        click.echo(f"unusable: {row['problem']}\n")
    better = "higher" if metric.higher_is_better else "lower"
    click.echo(f"  {metric.lowest:g} to {metric.highest:g}, {better} is better")
    echo_options(options)
    return Exit.DONE
