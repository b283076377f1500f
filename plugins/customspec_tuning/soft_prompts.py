"""What a learned prompt begins as, when the person gives no text: the task's own words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, cycle, islice

from customspec.hookspecs import Task


def pieces(task: Task, text: str | None, count: int) -> list[Sequence[int]]:
    """`count` pieces of text as token ids, for one vector each: the given text's tokens, repeated or cut; or the
    answers to choose from, one piece each, then the instruction's tokens and those of the training rows."""
    if text is not None:
        return list(islice(cycle([token] for token in task.encode(text)), count))
    answers = (task.encode(choice) for choice in task.choices or ())
    return list(islice(chain(answers, ([token] for token in _own_words(task))), count))


def tokens(task: Task, text: str | None, count: int) -> list[int]:
    """`count` tokens in a row: the given text's, repeated or cut; or the answers to choose from, the instruction,
    and the training rows."""
    if text is not None:
        return list(islice(cycle(task.encode(text)), count))
    answers = task.encode(", ".join(task.choices)) if task.choices else ()
    return list(islice(chain(answers, _own_words(task)), count))


def _own_words(task: Task) -> chain[int]:
    instruction = task.encode(task.instruction) if task.instruction else ()
    rows = cycle(list(chain.from_iterable((*prompt, *answer) for prompt, answer in task.rows)))
    return chain(instruction, rows)
