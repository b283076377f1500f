"""Tables on stdout: as wide as the terminal, or as wide as they need where there is none; commands to copy."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from rich.cells import cell_len
from rich.table import Table

from customspec.report.text import escape

WIDE = 200  # characters; a file or pipe has no width of its own
GAP = "  "


def command_line(*parts: str | Path) -> str:
    """A command of ours as a shell takes it, safe to print."""
    return escape(shlex.join(["customspec", *map(str, parts)]))


def print_table(table: Table, dispensable: Sequence[str] = (), *, elsewhere: str = "", err: bool = False) -> None:
    """The table, with colour on a terminal only. What makes it too wide for the terminal is left out of the columns
    that are `dispensable`, the first ones first, and told, with where it is to be found."""
    stream = sys.stderr if err else sys.stdout
    bound = stream.isatty() or "COLUMNS" in os.environ
    columns = None if bound else _simple(table)
    if columns is not None:
        stream.writelines(_lines(table, columns))
        return
    from rich.console import Console

    console = Console(file=stream, width=None if bound else WIDE, highlight=False, markup=False, emoji=False)
    if not bound:
        console.print(table)
        return
    from customspec.cli.narrow import narrowed, width_of

    width = console.width
    shown, gone = narrowed(table, width, dispensable)
    console.width = max(width, width_of(shown))  # rather than broken words, a terminal's own line breaks
    console.print(shown)
    if gone:
        titles = ", ".join(title.replace("\n", " ") for title in gone)
        note = f"left out at {width} columns: {titles}; {elsewhere}"
        stream.write(fill(note, width, break_long_words=False) + "\n")


def _simple(table: Table) -> list[list[str]] | None:
    """Each column's title and cells, where padding is all that they need (rich takes 0.1 ms a cell); else None."""
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    cells = (cell for column in columns for cell in column)
    if not all(cell.isprintable() and cell_len(cell) == len(cell) for cell in cells):
        return None
    whole = sum(_width(column) for column in columns) + len(GAP) * (len(columns) - 1)
    return columns if whole <= WIDE else None


def _lines(table: Table, columns: Sequence[Sequence[str]]) -> Iterator[str]:
    padded = [
        [cell.rjust(_width(cells)) if column.justify == "right" else cell.ljust(_width(cells)) for cell in cells]
        for column, cells in zip(table.columns, columns, strict=True)
    ]
    return (GAP.join(line) + "\n" for line in zip(*padded, strict=True))


def _width(cells: Sequence[str]) -> int:
    return max(map(len, cells))
