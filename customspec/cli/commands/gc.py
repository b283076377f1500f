"""`customspec gc`: remove what no recent run refers to."""

from __future__ import annotations

import time
from pathlib import Path

import click

from customspec.cli.options import Amount, json_option, store_option
from customspec.cli.output import show_json
from customspec.cli.places import store_here
from customspec.errors import Exit
from customspec.report.text import escape
from customspec.store import Store
from customspec.store.upkeep import DAY, Removal, leftovers, mend, remove, unreferred


@click.command("gc")
@store_option
@click.option("--keep-days", type=Amount(), default=30.0, show_default=True, help="What counts as recent.")
@click.option("--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
@json_option
def command(store: Path | None, keep_days: float, *, dry_run: bool, as_json: bool) -> int:
    """Remove results that no run of the last days refers to, and what killed processes left. Run folders stay.

    Safe beside a run: what it refers to is kept, and one that begins waits until the cleaning has ended.
    """
    cleaned = Store(store_here(store))
    if not cleaned.root.is_dir():
        removed: list[Removal] = []
    elif dry_run:
        removed = list(unreferred(cleaned, keep_days * DAY, time.time()))
    else:
        removed = _clean(cleaned, keep_days * DAY)
    size = sum(removal.size for removal in removed)
    if as_json:
        listed = [{"path": str(one.path), "step": one.step, "bytes": one.size} for one in removed]
        show_json({"store": str(cleaned.root), "dry_run": dry_run, "bytes": size, "removed": listed})
        return Exit.DONE
    for one in removed:
        click.echo(f"{escape(one.step)}: {one.size / 2**20:.1f} MiB ({escape(one.path.name[:19])})")
    results = "1 result" if len(removed) == 1 else f"{len(removed)} results"
    click.echo(f"{'would remove' if dry_run else 'removed'} {results}, {size / 2**20:.1f} MiB")
    return Exit.DONE


def _clean(store: Store, keep_seconds: float) -> list[Removal]:
    with store.cleaning():
        removed = list(unreferred(store, keep_seconds, time.time()))
        for removal in removed:
            remove(removal, store)
        for fault in list(leftovers(store)):
            mend(store, fault)
    return removed
