"""Drawing demonstrations from the training rows, under a seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from customspec.prompts import Example

Select = Literal["random", "balanced"]


def draw(rows: Sequence[Example], count: int, select: Select, seed: int) -> list[Example]:
    """`count` rows (fewer where there are fewer), deterministic under the seed."""
    shuffled = random.Random(seed).sample(rows, len(rows))
    return (_take_turns(shuffled) if select == "balanced" else shuffled)[:count]


def _take_turns(rows: Sequence[Example]) -> list[Example]:
    by_answer: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        by_answer[row.answer].append(row)
    return [row for turn in zip_longest(*by_answer.values()) for row in turn if row is not None]
