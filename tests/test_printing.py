"""Tables without a terminal, written by ourselves where that is the same as what rich writes; commands to copy."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from customspec.cli.printing import WIDE, print_table
from customspec.report.tables import DISPENSABLE_OF_RESULTS, plain_table, results_table
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


def shown(table: Table, columns: int, *dispensable: str) -> list[str]:
    """The lines on a terminal so wide."""
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", written)
        patch.setenv("COLUMNS", str(columns))
        print_table(table, dispensable, elsewhere="it is elsewhere")
    return written.getvalue().splitlines()


def result(key: str, **cost: float) -> dict[str, Any]:
    names = ("train_seconds", "rows_per_second", "prompt_tokens_per_example", "trainable_parameters", "artifact_bytes")
    measured = {"matthews_correlation": {"value": 0.8625, "ci": [0.801, 0.907], "confidence": 0.95, "n": 160}}
    return {
        "key": key,
        "metrics": {"validation": measured, "test": measured},
        "cost": {**dict.fromkeys((*names, "peak_memory_bytes"), 123456789.0), **cost},
        "status": "done",
        "reason": None,
    }


class TestANarrowTerminal:
    document: ClassVar[dict[str, Any]] = {
        "decision": {"chosen_key": "chain_of_thought@0", "ending": "met"},
        "candidates": [
            result("chain_of_thought@0"),
            {**result("lora@0"), "status": "skipped", "reason": "chain_of_thought@0 already reaches the goal"},
        ],
    }

    def table(self) -> Table:
        return results_table(self.document, "matthews_correlation")

    def test_results_fit_80_columns_with_every_word_whole(self) -> None:
        lines = shown(self.table(), 80, *DISPENSABLE_OF_RESULTS)
        assert max(map(len, lines)) <= 80
        table, _, note = "\n".join(lines).partition("left out at 80 columns: ")
        words = set(table.split())
        assert {"matthews_correlation", "candidate", "chain_of_thought@0", "0.863", "[0.801,", "skipped:"} <= words
        whole = {word for line in shown(self.table(), 300) for word in line.split()}
        assert words <= whole, "no word is broken"
        assert note.startswith("memory, artifact, trained parameters, prompt tokens")
        assert note.endswith("it is elsewhere")

    def test_a_wide_one_shows_all(self) -> None:
        lines = shown(self.table(), 300, *DISPENSABLE_OF_RESULTS)
        assert "memory" in lines[0] + lines[1]
        assert not any("left out" in line for line in lines)

    def test_rather_than_a_word_the_terminal_breaks_the_line(self) -> None:
        table = plain_table("a", "b")
        table.add_row("x" * 60, "y" * 60)
        assert shown(table, 80)[1] == f"{'x' * 60}  {'y' * 60}"

    def test_a_pipe_gets_it_whole(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("COLUMNS", raising=False)
        print_table(self.table(), DISPENSABLE_OF_RESULTS, elsewhere="it is elsewhere")
        out = capsys.readouterr().out
        assert "memory" in out
        assert "left out" not in out


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
