"""Repairs of a spec's text that are certain: keys are renamed where they stand, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from customspec.errors import Location, Problem, Rename
from customspec.source import line_starts

ROUNDS = 16  # a section that is renamed brings forth the keys below it: one level a round

FindProblems = Callable[[str], Sequence[Problem]]


def repaired(text: str, file: str, problems_of: FindProblems) -> str:
    """The text of `file` with every certain rename done. `problems_of` finds the problems of a text."""
    for _ in range(ROUNDS):
        renames = [(one.location, one.rename) for one in problems_of(text) if one.rename and one.location.file == file]
        better = _renamed(text, renames)
        if better == text:
            break
        text = better
    return text


def _renamed(text: str, renames: Sequence[tuple[Location, Rename]]) -> str:
    """Each key renamed at its place, from the last to the first, so that places stay true."""
    starts = line_starts(text)
    for place, rename in sorted(renames, key=lambda one: (one[0].line, one[0].column), reverse=True):
        index = starts[place.line - 1] + place.column - 1
        key = re.compile(rf"([\"']?){re.escape(rename.old)}\1(?=\s*:)").match(text, index)
        if key is not None:  # else it is written with escapes
            text = f"{text[:index]}{key[1]}{rename.new}{key[1]}{text[key.end() :]}"
    return text
