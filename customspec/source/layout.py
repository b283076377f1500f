"""Where keys stand on their lines: what is needed to say which line is indented wrongly."""

from __future__ import annotations

import re
from dataclasses import dataclass

from customspec.errors import Location
from customspec.source.text import SourceText

_KEY = re.compile(
    r"\s*(?:-\s+)*"
    r"(?P<name>\"[^\"]*+\"|'[^']*+'|[^\s\"'#\[\]{},&*!|>%@`:-][^:#]*+)"
    r"\s*(?P<colon>:)(?:\s|$)"
)
_LONE_WORD = re.compile(r"\s*(?:-\s+)*(?P<word>[\w.:-]+)\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Key:
    """A key at the start of its line, behind dashes as well; `end` is the column where its colon is or belongs."""

    name: str
    place: Location
    end: int

    @property
    def spaces(self) -> str:
        before = self.place.column - 1
        return "1 space" if before == 1 else f"{before} spaces"


def key_on(source: SourceText, line: int) -> Key | None:
    """The key at the start of a line, if there is one."""
    found = _KEY.match(source.lines[line - 1])
    if found is None:
        return None
    place = Location(source.file, line, found.start("name") + 1)
    return Key(found["name"].rstrip(), place, found.start("colon") + 1)


def sibling_of(source: SourceText, key: Key) -> Key | None:
    """The key above that `key` most likely belongs beside: the nearest column among the levels that are open there."""
    best: Key | None = None
    for line in range(key.place.line - 1, 0, -1):
        above = key_on(source, line)
        if above is None:
            continue
        if best is None or _distance(above, key) < _distance(best, key):
            best = above
        if above.place.column <= key.place.column:
            break
    return best


def _distance(one: Key, other: Key) -> int:
    return abs(one.place.column - other.place.column)


def lone_word_above(source: SourceText, line: int) -> Key | None:
    """The single word on the nearest line above that is not blank: a key that lacks its colon."""
    above = next((number for number in range(line - 1, 0, -1) if source.lines[number - 1].strip()), None)
    found = _LONE_WORD.fullmatch(source.lines[above - 1]) if above else None
    if above is None or found is None:
        return None
    return Key(found["word"], Location(source.file, above, found.start("word") + 1), found.end("word") + 1)
