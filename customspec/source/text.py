"""A text and its lines, as an editor counts them."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from customspec.errors import Code, Location, Problem

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def split_lines(text: str) -> list[str]:
    """The lines of a text without their ends; only CR, LF and CRLF end one, so that numbers agree with editors."""
    return _LINE_BREAK.split(text)


def line_starts(text: str) -> tuple[int, ...]:
    """The index at which each line begins."""
    return (0, *(end.end() for end in _LINE_BREAK.finditer(text)))


@dataclass(frozen=True)
class SourceText:
    """A text by the name that its file was given; turns an index into a place."""

    file: str
    text: str

    @cached_property
    def lines(self) -> tuple[str, ...]:
        return tuple(split_lines(self.text))

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return line_starts(self.text)

    def place(self, index: int) -> Location:
        """The line and column of the character at `index`."""
        line = bisect_right(self._starts, index)
        return Location(self.file, line, index - self._starts[line - 1] + 1)

    def problem(self, code: Code, message: str, index: int, hint: str) -> Problem:
        return Problem(code, message, self.place(index), hint)
