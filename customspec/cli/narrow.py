"""A table within the width of a terminal: no word is broken, and what matters least is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.table import Column, Table

GAP: Final = 2  # characters between two columns
TEXT: Final = 20  # characters that a column of longer texts keeps, at least


def narrowed(table: Table, width: int, dispensable: Sequence[str] = ()) -> tuple[Table, list[str]]:
    """The table in `width` characters, and the titles of the columns that it lacks: of those that are `dispensable`, by
    their titles or the last line of these, as many as must go, the first ones first. Texts are wrapped between words;
    what is still too wide stays so."""
    columns, gone = list(table.columns), list[str]()
    for title in dispensable:
        if _whole([_least(column) for column in columns]) <= width:
            break
        kept = [column for column in columns if title not in (column.header, str(column.header).split("\n")[-1])]
        gone += [title] if len(kept) < len(columns) else []
        columns = kept
    return _rebuilt(columns, _widths(columns, width)), gone


def width_of(table: Table) -> int:
    """Characters that a table takes which was narrowed."""
    return _whole([column.width or 0 for column in table.columns])


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """As wide as each column is, the widest that can give made narrower until all fit, or none can give any more."""
    widths, least = [_natural(column) for column in columns], [_least(column) for column in columns]
    while _whole(widths) > width and widths != least:
        giving = max((place for place in range(len(widths)) if widths[place] > least[place]), key=widths.__getitem__)
        widths[giving] -= 1
    return widths


def _whole(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _natural(column: Column) -> int:
    return max(cell_len(line) for text in _texts(column) for line in text.split("\n"))


def _least(column: Column) -> int:
    """Its longest word; of numbers the whole cell, of longer texts some words beside each other."""
    natural, word = _natural(column), max(cell_len(word) for text in _texts(column) for word in ["", *text.split()])
    if column.justify != "right":
        return max(word, min(natural, TEXT))
    return max(word, *(cell_len(str(cell)) for cell in column.cells), 0)


def _texts(column: Column) -> list[str]:
    return [str(column.header), *map(str, column.cells)]


def _rebuilt(columns: Sequence[Column], widths: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.header, justify=column.justify, overflow="fold", width=width)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table
