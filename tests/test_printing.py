"""Tables without a terminal: written by ourselves where that is the same as what rich writes."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from customspec.cli.printing import WIDE, print_table
from customspec.report.tables import plain_table

CELL = st.text(alphabet="ab0.:@ ≥é-", max_size=6).map(str.strip) | st.sampled_from(
    ["", ":fire:", "[bold]b[/]", "東京", "two\nlines", "x" * 120, "e\u0301"]
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(st.text(alphabet="abc", min_size=1, max_size=8), min_size=width, max_size=width),
        st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=5),
        st.sets(st.integers(0, width - 1)),
    )
)


@given(TABLES)
def test_a_table_is_written_as_rich_writes_it(drawn: tuple[list[str], list[list[str]], set[int]]) -> None:
    titles, rows, right = drawn
    table = plain_table(*titles, right=right)
    for row in rows:
        table.add_row(*row)
    expected, written = io.StringIO(), io.StringIO()
    Console(file=expected, width=WIDE, highlight=False, markup=False, emoji=False).print(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", written)
        patch.delenv("COLUMNS", raising=False)
        print_table(table)
    assert written.getvalue() == expected.getvalue()
