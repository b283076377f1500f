"""How much one pass may hold, by the kind of device: the loops in `ml` keep to it, and estimates count on that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH_STEP: Final = 8  # tokens; a training batch is as wide as a multiple of it
LINE_STEP: Final = 16  # tokens; a training batch in one line is as long as a multiple of it
LOGITS_AT_ONCE: Final = 2**28  # numbers; 512 MiB in bfloat16


@dataclass(frozen=True, slots=True)
class Sharing:
    """When the rows of a training batch share what they begin with, in tokens."""

    apart: int
    """From so many repeated ones on it is run once a batch: that costs launches of its own."""
    line: int
    """Up to so many in all, the batch then runs as one line: every token is multiplied with every other's key, but none
    is padding, and what is shared is in the same pass."""


@dataclass(frozen=True, slots=True)
class PassSizes:
    """Tokens. `scored` and `generated` are what a batch may hold, in scoring and in generation."""

    sharing: Sharing
    scored: int
    generated: int


_CPU: Final = PassSizes(Sharing(apart=32, line=512), scored=1024, generated=8192)  # what its caches hold
_ELSEWHERE: Final = PassSizes(Sharing(apart=2048, line=0), scored=16384, generated=16384)  # what keeps a GPU busy


def pass_sizes(device: str) -> PassSizes:
    """`device` is torch's name of its kind."""
    return _CPU if device == "cpu" else _ELSEWHERE


def common_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many first tokens are worth a pass of their own: all prompts share them, and each has one more at least."""
    if len(prompts) == 1:
        return 0
    first, last = min(prompts, key=tuple), max(prompts, key=tuple)  # in sorted order these two differ earliest
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return min(same, min(map(len, prompts)) - 1)
