"""Where a text that a model writes ends, and what is read of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from torch import BoolTensor, LongTensor
from transformers import StoppingCriteria

Decode = Callable[[Sequence[int]], str]

# Of a batch's rows, the share from which on it goes on without those that have ended. Each time copies what is left of
# the cache, over a whole batch at most three times its keys and values: what three tokens cost, as each copies all.
GOING_ON: Final = 0.75


@dataclass(frozen=True)
class Generated:
    """What a model wrote after one prompt."""

    text: str  # without the end token, cut before a stop text, without white space around it
    tokens: int  # that were generated, the end token or those of the stop text included
    finished: bool  # ended by itself, not by the limit


@dataclass(frozen=True)
class Endings:
    """What ends a row, and how to read one that ended."""

    tokens: frozenset[int]
    texts: tuple[str, ...]
    decode: Decode

    def stop(self, text: str) -> int | None:
        """Where in `text` its first stop text begins."""
        return min((text.find(word) for word in self.texts if word in text), default=None)

    def at(self, tail: Sequence[int]) -> bool:
        """Whether a row ends with its last token; `tail` are its last ones, enough of them to hold any stop text."""
        return tail[-1] in self.tokens or (bool(self.texts) and self.stop(self.decode(tail)) is not None)

    def read(self, row: Sequence[int]) -> Generated:
        """`row`: the new tokens; what comes after an end token is not looked at."""
        ended = next((place for place, token in enumerate(row) if token in self.tokens), None)
        text = self.decode(row[:ended])
        cut = self.stop(text)
        return Generated(
            text=text[:cut].strip(),
            tokens=len(row) if ended is None else ended + 1,
            finished=ended is not None or cut is not None,
        )


class Stops(StoppingCriteria):
    """Ends a row at its end token or stop text, and remembers after how many new tokens it did.

    With `leaving` it ends the whole batch as soon as so many rows have ended that it is to go on without them.
    """

    def __init__(self, endings: Endings, start: int, *, leaving: bool) -> None:
        self.endings = endings
        self.start = start  # the column of the first new token
        self.leaving = leaving
        self.lengths: dict[int, int] = {}  # by row
        # a token holds at least a byte; some more, as a decoder may trim what a tail begins with or skip a token
        self.tail = max((len(text.encode()) + 8 for text in endings.texts), default=1)

    def __call__(self, input_ids: LongTensor, scores: Any, **kwargs: Any) -> BoolTensor:
        new = input_ids[:, self.start :]
        for row, tail in enumerate(new[:, -self.tail :].tolist()):
            if row not in self.lengths and self.endings.at(tail):
                self.lengths[row] = new.shape[1]
        going = len(new) - len(self.lengths)
        pause = self.leaving and going <= GOING_ON * len(new)
        ended = [pause or row in self.lengths for row in range(len(new))]
        return cast(BoolTensor, torch.tensor(ended, device=input_ids.device))
