"""Problems as they are shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from customspec.errors import Code, Location, Problem
from customspec.report.problems import as_json, render
from customspec.report.text import escape

TEXT = "customspec: 1\ntechniques:\n  - lora: {alhpa: 16}\n"


def problem(line: int, column: int, message: str = "m", hint: str | None = None, file: str = "spec.yaml") -> Problem:
    return Problem(Code.UNKNOWN_KEY, message, Location(file, line, column), hint)


def excerpt(line: str, column: int) -> tuple[str, str]:
    """The line as shown and the carets below it, without the gutter."""
    rows = render([problem(1, column)], {"spec.yaml": line}).split("\n")
    return rows[1][8:], rows[2][8:]


def test_a_problem_is_shown_with_its_line_its_token_and_its_hint() -> None:
    wrong = problem(3, 12, "unknown key `alhpa` in technique `lora`", "did you mean `lora_alpha`?")
    assert render([wrong], {"spec.yaml": TEXT}) == (
        "spec.yaml:3:12: CS201 unknown key `alhpa` in technique `lora`\n"
        "    3 |   - lora: {alhpa: 16}\n"
        "      |            ^^^^^\n"
        "      = did you mean `lora_alpha`?\n"
        "\n"
        "1 problem in spec.yaml"
    )


def test_colours_are_added_to_the_same_text() -> None:
    wrong = [problem(3, 12, hint="h")]
    colored = render(wrong, {"spec.yaml": TEXT}, color=True)
    for code in ("\x1b[1m", "\x1b[31m", "\x1b[36m"):
        assert code in colored
        colored = colored.replace(code, "")
    assert colored.replace("\x1b[0m", "") == render(wrong, {"spec.yaml": TEXT})


@pytest.mark.parametrize(
    ("problems", "last"),
    [
        ([problem(1, 1), problem(2, 1)], "2 problems in spec.yaml"),
        ([problem(1, 1), problem(2, 1, file="b.yaml")], "2 problems in 2 files"),
        ([problem(1, 1, file="a\x1b.yaml")], "1 problem in a\\x1b.yaml"),
    ],
)
def test_the_last_line_counts_the_problems(problems: list[Problem], last: str) -> None:
    assert render(problems, {}).split("\n")[-1] == last


def test_no_problems_are_no_text() -> None:
    assert render([], {"spec.yaml": TEXT}) == ""


@pytest.mark.parametrize("texts", [{}, {"spec.yaml": "one line"}, {"spec.yaml": "a\n\n"}])
def test_a_line_that_is_not_known_or_empty_is_not_shown(texts: dict[str, str]) -> None:
    assert render([problem(2, 1, "m")], texts) == "spec.yaml:2:1: CS201 m\n\n1 problem in spec.yaml"


@pytest.mark.parametrize(
    ("line", "column", "marked"),
    [
        ('a: "b \\" c" d', 4, '"b \\" c"'),
        ("a: 'b c' d", 4, "'b c'"),
        ('a: "b c', 4, '"'),
        ("a: 1e-4, b", 4, "1e-4"),
        ("a: data/x.jsonl", 4, "data/x.jsonl"),
        ("a: &d {}", 4, "&d"),
        ("a: {{ b }}", 4, "{"),
        ("größe: 1", 1, "größe"),
    ],
)
def test_the_token_at_the_place_is_marked_to_its_end(line: str, column: int, marked: str) -> None:
    assert excerpt(line, column) == (line, " " * (column - 1) + "^" * len(marked))


def test_a_place_behind_the_line_is_marked_behind_it() -> None:
    assert excerpt("name:", 6) == ("name:", "     ^")
    assert excerpt("name:", 60) == ("name:", "     ^")


def test_tabs_and_wide_characters_keep_the_caret_below_its_token() -> None:
    assert excerpt("\tab: c", 6) == ("    ab: c", "        ^")
    assert excerpt("名前: 値段", 5) == ("名前: 値段", "      ^^^^")
    assert excerpt("e\u0301: b", 5) == ("e\u0301: b", "   ^")


def test_characters_that_do_not_print_are_shown_escaped() -> None:
    assert excerpt("a: \x1b[31m\u202ex", 10) == ("a: \\x1b[31m\\u202ex", " " * 17 + "^")


@pytest.mark.parametrize("column", [1, 40, 500, 985, 1000])
def test_a_long_line_is_cut_around_the_place(column: int) -> None:
    line = "".join(f"{number:04} " for number in range(200))
    shown, carets = excerpt(line, column)
    assert cell_len(shown) <= 112
    assert shown[len(carets) - carets.count("^")] == line[column - 1]
    assert (shown.startswith("…"), shown.endswith("…")) == (column > 60, column < 900)


def test_lines_are_counted_as_editors_do_and_a_byte_order_mark_is_not() -> None:
    shown = render([problem(2, 1), problem(1, 1)], {"spec.yaml": "\ufeffa\u2028b\r\nc\rd"})
    assert "    2 | c\n      | ^\n" in shown
    assert "    1 | a\\u2028b\n      | ^\n" in shown


@settings(derandomize=True, max_examples=200, deadline=None)
@given(text=st.text(), message=st.text(), line=st.integers(1, 5), column=st.integers(1, 30))
def test_nothing_reaches_a_terminal_raw(text: str, message: str, line: int, column: int) -> None:
    shown = render([problem(line, column, message, message, message)], {message: text})
    assert shown.replace("\n", "").isprintable()
    assert 3 <= len(shown.split("\n")) <= 6


def test_json_holds_every_part_unchanged() -> None:
    assert as_json(problem(3, 12, "m\x1b", None)) == {
        "code": "CS201",
        "message": "m\x1b",
        "file": "spec.yaml",
        "line": 3,
        "column": 12,
        "hint": None,
    }
    assert json.loads(json.dumps(as_json(problem(1, 2, hint="h"))))["hint"] == "h"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 値 😀", "plain é 値 😀"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\ud800\U000e0001\x7f\x9b\u00a0", "\\ud800\\U000e0001\\x7f\\x9b\\xa0"),
    ],
)
def test_escape_shows_what_does_not_print(text: str, shown: str) -> None:
    assert escape(text) == shown
