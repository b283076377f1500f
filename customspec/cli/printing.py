"""Tables on stdout: as wide as the terminal, or as wide as they need where there is none."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.table import Table

WIDE = 200  # characters; a file or pipe has no width of its own


def print_table(table: Table, *, err: bool = False) -> None:
    """The table, with colour on a terminal only."""
    stream = sys.stderr if err else sys.stdout
    console = Console(
        file=stream, width=None if stream.isatty() or "COLUMNS" in os.environ else WIDE, highlight=False, markup=False
    )
    console.print(table)
