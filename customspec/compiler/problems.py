"""Collects problems while a document is read, each at its place in the person's file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from operator import eq

from customspec.errors import MOST_PROBLEMS, Code, Exit, Location, Problem, Rename, SpecError, too_many
from customspec.source import Document, KeyPath, split_lines


class Problems:
    """Every problem found so far. The one thing in the compiler that grows; it never leaves it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._problems: list[Problem] = []
        self._unsure: frozenset[KeyPath] = frozenset()

    def go_on(self, document: Document, unsure: frozenset[KeyPath]) -> None:
        """Read on in what the document was meant to be. What lies in a part that is `unsure` is not told."""
        self.document, self._unsure = document, unsure

    def doubts(self, *parts: str) -> bool:
        """Whether one of these parts of the spec, such as `data` or `data.test`, is not, or not wholly, understood."""
        asked = [tuple(part.split(".")) for part in parts]
        return any(all(map(eq, one, path)) for one in asked for path in self._unsure)

    def add(
        self,
        code: Code,
        path: KeyPath,
        message: str,
        *,
        hint: str | None = None,
        key: bool = False,
        word: str | None = None,
        line: int = 1,
        exit: Exit = Exit.BAD_INPUT,
        rename: Rename | None = None,
    ) -> None:
        """A problem at a path's value, at its key, or at a word inside its value; `line` counts inside a block.

        Raises SpecError where as many as are told at once were there already.
        """
        if any(path[: len(one)] == one for one in self._unsure):
            return
        place = self.document.locate(path, key=key)
        if place.file == self.document.file:
            place = _in_block(self._lines, place, line)
            place = place if word is None else _find(self._lines, place, word)
        length = None if key or word is not None else self.document.length(path)
        problem = Problem(code, message, place, hint, exit, rename, length)
        if problem in self._problems:
            return
        if len(self._problems) == MOST_PROBLEMS:  # to guess what every one was meant to be would take long
            raise too_many(self._problems)
        self._problems.append(problem)

    @cached_property
    def _lines(self) -> Sequence[str]:
        return split_lines(self.document.text)

    def stop_if_any(self) -> None:
        """Raises SpecError with all problems, when there is one."""
        if self._problems:
            raise SpecError(tuple(self._problems))

    def __len__(self) -> int:
        return len(self._problems)


def _in_block(lines: Sequence[str], place: Location, line: int) -> Location:
    """The start of a line of a block of text, which begins on the line below its mark; else the place itself."""
    mark = lines[place.line - 1][place.column - 1 :] if place.line <= len(lines) else ""
    if not re.fullmatch(r"[|>][-+0-9]*\s*(#.*)?", mark) or place.line + line > len(lines):
        return place
    inside = lines[place.line + line - 1]
    return Location(place.file, place.line + line, len(inside) - len(inside.lstrip()) + 1)


def _find(lines: Sequence[str], place: Location, word: str) -> Location:
    """Where a word stands in a value that begins at `place`; the value's own place if it cannot be found."""
    edge = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word.isidentifier() else re.escape(word))
    for line in range(place.line, min(place.line + 50, len(lines)) + 1):
        start = place.column - 1 if line == place.line else 0
        found = edge.search(lines[line - 1], start)
        if found:
            return Location(place.file, line, found.start() + 1)
    return place
