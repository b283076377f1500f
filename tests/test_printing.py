"""Tables without a terminal, written by ourselves where that is the same as what rich writes; commands to copy."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from customspec.cli.printing import WIDE, print_table
from customspec.report.tables import plain_table
from support import Ended, Workspace

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


def test_commands_to_copy_are_quoted_for_the_shell(
    workspace: Workspace, customspec: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.root)
    spec = workspace.spec("techniques: [zero_shot]", name="my spec.yaml")
    told = {
        "report": customspec("run", spec, "--store", "a store", "--limit", "2").out,
        "lock": customspec("run", spec, "--locked").err,
        "run": customspec("report", spec).err,
        "plugin": customspec("plugin", "new", "a_new_one", "--family", "tuning", "--dir", "new one").out,
    }
    command = {name: said.partition(f"customspec {name} ")[2].splitlines()[:1] for name, said in told.items()}
    assert shlex.split(command["report"][0])[0].startswith("a store/runs/")
    assert shlex.split(command["lock"][0].partition("`")[0]) == [str(spec)]
    assert shlex.split(command["run"][0]) == [str(spec)]
    assert shlex.split(told["plugin"])[-4:] == ["new one[test]", "&&", "pytest", "new one"]
