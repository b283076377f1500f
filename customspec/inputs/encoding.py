"""Rows as token ids that fit the model's context: refused, cut or dropped as `on_long` says, never silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from customspec.inputs.tokens import Chat
from customspec.prompts import Example, Message, messages

OnLong = Literal["error", "truncate", "drop"]
Select = Callable[[Example], Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row for the model: prompt and answer (with its end) as token ids."""

    example: Example
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Encodings:
    """The rows that fit, in order, and the ids of those that were dropped or cut."""

    rows: tuple[Encoded, ...]
    dropped: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class TooLongError(ValueError):
    """A row that does not fit. Lengths are in tokens, the answer's reserve included."""

    def __init__(self, id: str, tokens: int, limit: int) -> None:
        super().__init__(f"row {id} needs {tokens} tokens; the model's context holds {limit}")
        self.id = id


def no_shots(_: Example) -> Sequence[Example]:
    """The selector of a candidate without a prompting technique."""
    return ()


def encode(
    examples: Sequence[Example],
    select: Select,
    chat: Chat,
    *,
    context: int,
    reserve: int | None,
    on_long: OnLong,
) -> Encodings:
    """Every example as tokens. `reserve`: tokens kept free for the answer; None: the answer's own length.

    Raises TooLongError under `on_long: error`, for the first row that does not fit.
    """
    rows: list[Encoded] = []
    dropped: list[str] = []
    cut: list[str] = []
    for example in examples:
        answer = tuple(chat.answer_ids(example.answer))
        room = context - (len(answer) if reserve is None else reserve)
        shots = tuple(select(example))
        prompt = chat.prompt_ids(messages(example, shots))
        if len(prompt) > room:
            if on_long == "error":
                raise TooLongError(example.id, len(prompt) + context - room, context)
            shortened = _cut(example, shots, chat, room) if on_long == "truncate" else None
            (dropped if shortened is None else cut).append(example.id)
            if shortened is None:
                continue
            prompt = shortened
        rows.append(Encoded(example, tuple(prompt), answer))
    return Encodings(tuple(rows), tuple(dropped), tuple(cut))


def _cut(query: Example, shots: Sequence[Example], chat: Chat, room: int) -> list[int] | None:
    """The longest prompt that fits: first fewer demonstrations, then a shorter end of the query's text."""
    for fewer in range(1, len(shots) + 1):
        prompt = chat.prompt_ids(messages(query, shots[fewer:]))
        if len(prompt) <= room:
            return prompt
    low, high = 0, len(query.user)  # characters of the query that are known to fit, and known not to
    best: list[int] | None = None
    while low < high:
        middle = (low + high) // 2
        prompt = chat.prompt_ids(messages(replace(query, user=query.user[:middle])))
        if len(prompt) <= room:
            best, low = prompt, middle + 1
        else:
            high = middle
    return best


def surely_fits(conversation: Sequence[Message], chat: Chat, room: int) -> bool:
    """Whether the prompt fits by its bytes alone: cheap, and never wrong with a yes. Raises ChatError."""
    return chat.most_tokens(chat.prompt_text(conversation)) <= room
