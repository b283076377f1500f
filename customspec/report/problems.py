"""Problems as a person reads them, and as a program does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from rich.cells import cell_len

from customspec.errors import Code, Problem, redact
from customspec.report.text import escape
from customspec.source import split_lines

_TAB = "    "
_BEFORE, _AFTER = 50, 60  # characters of a long line that are shown before and from the caret
_TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*+\"|'[^']*+'|[!&*]*[\w.+/-]+|.", re.DOTALL)
_BOLD, _RED, _CYAN, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[36m", "\x1b[0m"


def render(problems: Sequence[Problem], texts: Mapping[str, str], *, color: bool = False) -> str:
    """Each problem with an excerpt of its file, where `texts` has it, and its hint; at the end, how many there are.

    Returns an empty string for no problems. The text that is returned holds no raw control characters but
    line feeds and, with `color`, its own colours.
    """
    if not problems:
        return ""
    lines = {file: split_lines(text.removeprefix("\ufeff")) for file, text in texts.items()}
    safe = cache(redact)  # many problems may stand in one long line
    blocks = [_block(problem, lines.get(problem.location.file, []), safe, color) for problem in problems]
    return "\n\n".join([*blocks, _count(problems)])


def as_json(problem: Problem) -> dict[str, object]:
    """The problem as plain data, with nothing escaped."""
    return {
        "code": problem.code.value,
        "message": problem.message,
        "file": problem.location.file,
        "line": problem.location.line,
        "column": problem.location.column,
        "hint": problem.hint,
    }


def _block(problem: Problem, lines: Sequence[str], safe: Callable[[str], str], color: bool) -> str:
    number = problem.location.line
    gutter = max(5, len(str(number)))
    place = _painted(f"{escape(str(problem.location))}:", _BOLD, color)
    parts = [f"{place} {_painted(problem.code.value, _RED, color)} {escape(problem.message)}"]
    line = safe(lines[number - 1]) if number <= len(lines) else ""
    if line and problem.code != Code.MORE_PROBLEMS:
        shown, blanks, carets = _excerpt(line, problem.location.column, problem.length)
        parts.append(f"{number:>{gutter}} | {shown}")
        parts.append(f"{'':{gutter}} | {blanks}{_painted(carets, _RED, color)}")
    if problem.hint:
        parts.append(f"{'':{gutter}} = {_painted(escape(problem.hint), _CYAN, color)}")
    return "\n".join(parts)


def _excerpt(line: str, column: int, length: int | None) -> tuple[str, str, str]:
    """The line, or the part around the column of a long one; and the blanks and the carets that go below it."""
    at = min(column - 1, len(line))
    start, end = _window(line, at)
    token = _TOKEN.match(line, at)
    until = at + length if length else token.end() if token else at
    marked = line[at : min(until, end)]
    before = ("…" if start else "") + _printable(line[start:at])
    after = _printable(line[at:end]) + ("…" if end < len(line) else "")
    return before + after, " " * cell_len(before), "^" * max(1, cell_len(_printable(marked)))


def _window(line: str, at: int) -> tuple[int, int]:
    if len(line) <= _BEFORE + _AFTER:
        return 0, len(line)
    start = max(0, min(at - _BEFORE, len(line) - _BEFORE - _AFTER))
    return start, start + _BEFORE + _AFTER


def _printable(part: str) -> str:
    return _TAB.join(map(escape, part.split("\t")))


def _count(problems: Sequence[Problem]) -> str:
    files = list(dict.fromkeys(problem.location.file for problem in problems))
    where = escape(files[0]) if len(files) == 1 else f"{len(files)} files"
    told = sum(problem.code != Code.MORE_PROBLEMS for problem in problems)
    more = " and more" if told < len(problems) else ""
    return f"{told} problem{'s' if told > 1 else ''}{more} in {where}"


def _painted(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_RESET}" if color else text
