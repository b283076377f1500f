"""Rows in little memory: where there are many, all are kept as one text, and each is parsed again when it is asked
for."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Generic, TypeVar, overload

from customspec.prompts import Example, Message, Row

MANY = 20_000  # rows; fewer are kept as they are, which is quicker
T = TypeVar("T")


class Packed(Sequence[T], Generic[T]):
    """A sequence of `items`, a fifth of their size: `dump` makes plain JSON of one, `load` an equal one of its index
    and that. Items are made anew at each look, so they are equal but not the same."""

    def __init__(self, items: Iterable[T], dump: Callable[[T], Any], load: Callable[[int, Any], T]) -> None:
        text, ends = bytearray(), array("Q", [0])
        for item in items:
            text += json.dumps(dump(item), separators=(",", ":")).encode()
            ends.append(len(text))
        self._text, self._ends, self._load = text, ends, load

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return tuple(self[one] for one in range(*index.indices(len(self))))
        at = range(len(self))[index]  # counts from the end too, and raises IndexError
        return self._load(at, json.loads(self._text[self._ends[at] : self._ends[at + 1]]))

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(len(self)))


def pack_rows(rows: Iterable[Row]) -> Sequence[Row]:
    """The rows of one split, all with the columns of the first; a tuple where there are not many."""
    waiting = iter(rows)
    first = tuple(islice(waiting, MANY))
    following = next(waiting, None)
    if following is None:
        return first
    columns = tuple(first[0].fields)

    def dump(row: Row) -> Any:
        return [row.id, row.place, *(row.fields[column] for column in columns)]

    def load(_: int, values: Any) -> Row:
        return Row(values[0], dict(zip(columns, values[2:], strict=True)), values[1])

    return Packed(chain(first, (following,), waiting), dump, load)


def pack_examples(examples: Iterable[Example], rows: Sequence[Row]) -> Sequence[Example]:
    """`rows`, rendered, in their order; a tuple where there are not many."""
    if len(rows) <= MANY:
        return tuple(examples)

    def dump(example: Example) -> Any:
        turns = [(turn.role, turn.content) for turn in example.history]
        return [example.system, example.user, example.answer, turns]

    def load(index: int, values: Any) -> Example:
        system, user, answer, turns = values
        row = rows[index]
        return Example(row.id, system, user, answer, tuple(Message(*turn) for turn in turns), row.fields)

    return Packed(examples, dump, load)
