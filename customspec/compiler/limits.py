"""How much a spec may hold of what is checked one by one: what compiles in a second, and more than people write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from customspec.compiler.problems import Problems
from customspec.errors import Code
from customspec.inputs.splits import SPLITS
from customspec.source import Document, KeyPath
from customspec.spec import LADDER

MOST_CANDIDATES: Final = 250
MOST_METRICS: Final = 100
MOST_FILES: Final = 1000  # of one split
MOST_STOPS: Final = 100
MOST_SEARCHED: Final = 1000  # values of all options and entries


def check_limits(document: Document, problems: Problems) -> None:
    """Add a problem where there is too much of something, in a document that need not be a spec otherwise."""
    _check_candidates(document.data, problems)
    for at, words, most, hint in _counted():
        _check(_size(document.value(at)), words, most, at, hint, problems)
    searched = list(_searched(document))
    if searched:
        largest = max(searched, key=lambda at: _size(document.value(at)))
        values = sum(_size(document.value(at)) for at in searched)
        _check(values, "values to search", MOST_SEARCHED, largest, "a range has no values: {low: 1, high: 9}", problems)


def _check(count: int, words: str, most: int, at: KeyPath, hint: str | None, problems: Problems) -> None:
    if count > most:
        problems.add(Code.WRONG_VALUE, at, f"{count:,} {words}; a spec may have {most:,}", hint=hint, key=True)


def _check_candidates(data: Mapping[str, Any], problems: Problems) -> None:
    entries = data.get("techniques")
    entries = entries if isinstance(entries, list) and entries else LADDER
    seeds = _size(data.get("seeds")) or 1
    own = [_size(entry.get("seeds")) if isinstance(entry, dict) else 0 for entry in entries]
    candidates = sum(count or seeds for count in own)
    if candidates > MOST_CANDIDATES:
        at = "seeds" if seeds > len(entries) else "techniques"
        message = f"{candidates:,} candidates, one for each entry and seed; a spec may have {MOST_CANDIDATES:,}"
        hint = "`search` tries many values of an option within one candidate"
        problems.add(Code.WRONG_VALUE, (at,), message, hint=hint, key=True)


def _counted() -> Iterator[tuple[KeyPath, str, int, str | None]]:
    """What is counted: where it stands, what messages call it, how much of it there may be, and what to do instead."""
    yield ("metrics",), "metrics", MOST_METRICS, None
    yield ("generation", "stop"), "texts that end an answer", MOST_STOPS, None
    for split in SPLITS:
        places: tuple[KeyPath, ...] = (("data", split), ("data", split, "path"))
        for at in places:
            yield at, "files of one split", MOST_FILES, "put their rows into fewer files"


def _searched(document: Document) -> Iterator[KeyPath]:
    for index in range(_size(document.value(("techniques",)))):
        at: KeyPath = ("techniques", index, "search")
        searched = document.value(at)
        for option in searched if isinstance(searched, dict) else ():
            yield (*at, option)


def _size(value: object) -> int:
    return len(value) if isinstance(value, list) else 0
