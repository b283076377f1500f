"""What a candidate's steps put through the model, in rows and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from customspec.estimate.passes import WIDTH_STEP


@dataclass(frozen=True, slots=True)
class Asked:
    """An evaluation. Tokens are per row, means where nothing else is said.

    `shared` tokens begin every row and run once. Where choices are scored, the tree of all choices has `tree` nodes
    that are fed beside a row's own tokens, and `predicted` that predict. Where text is generated, `generated` is the
    most tokens that a row may get, in each of `samples`.
    """

    rows: int
    shared: int
    own: float
    longest: int
    """The longest row's own tokens."""
    tree: int = 0
    predicted: int = 1
    generated: int = 0
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Taught:
    """A training: `passes` forward and backward passes of `batch` rows each, in `steps` optimizer steps.

    A row has `shared` first tokens that every row has, `own` others, and `learned` that the loss sees. `virtual`
    vectors stand before the prompt and run through the model; `prefix` keys and values stand there and do not.
    """

    steps: int
    passes: int
    batch: int
    shared: int
    own: float
    longest: int
    """The longest row's own tokens."""
    learned: float
    virtual: int = 0
    prefix: int = 0

    def tokens(self, apart: int, *, longest: bool = False) -> tuple[float, float, float]:
        """Of one pass: tokens that run once, tokens that run in every row, and keys that a row's token attends to.

        `apart`: from how many repeated tokens on those before all rows run once for the whole batch; they are
        repeated in each row below. With `longest`, of the widest batch instead of the usual one.
        """
        width = float(ceil(self.longest / WIDTH_STEP) * WIDTH_STEP) if longest else self.own + WIDTH_STEP / 2
        before = self.shared + self.virtual
        keys = before + self.prefix + width
        if (before + self.prefix) * (self.batch - 1) < apart:
            return 0.0, before + width, keys
        return float(before), width, keys
