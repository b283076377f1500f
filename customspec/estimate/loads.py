"""What a candidate's steps put through the model, in rows and tokens, and what trains there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from customspec.estimate.passes import LINE_STEP, WIDTH_STEP, Sharing
from customspec.header import Linear


@dataclass(frozen=True, slots=True)
class EvaluationLoad:
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

    @property
    def tokens(self) -> float:
        """All that run."""
        return self.shared + self.rows * (self.own + self.tree + self.samples * self.generated)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a batch forward and backward, in tokens: `once` in a pass of their own before it, then `rows` side by
    side, each of `width` tokens that attend to `keys`."""

    once: float
    rows: int
    width: float
    keys: float

    @property
    def tokens(self) -> float:
        """All that run."""
        return self.once + self.rows * self.width

    @property
    def launches(self) -> int:
        """How often the model is called."""
        return 2 if self.once else 1


@dataclass(frozen=True, slots=True)
class TrainingLoad:
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
    others: float | None = None
    """Own tokens, a mean, of the rows that share a batch with the longest, since rows of like length do; None: as many
    as that."""

    def a_pass(self, sharing: Sharing, *, longest: bool = False) -> Pass:
        """The usual one; with `longest`, that of the batch of the longest rows."""
        width = float(ceil(self.longest / WIDTH_STEP) * WIDTH_STEP) if longest else self.own + WIDTH_STEP / 2
        before = self.shared + self.virtual
        if (before + self.prefix) * (self.batch - 1) < sharing.apart:
            return Pass(0.0, self.batch, before + width, before + self.prefix + width)
        others = self.longest if self.others is None else self.others
        own = self.longest + (self.batch - 1) * others if longest else self.batch * self.own
        line = before + own + LINE_STEP / 2
        if line <= sharing.line:
            return Pass(0.0, 1, line, self.prefix + line)
        return Pass(float(before), self.batch, width, before + self.prefix + width)


@dataclass(frozen=True, slots=True)
class Trained:
    """So many `weights` train, and every token is multiplied with `per_token`; `adapted` are the linear maps beside
    which something trains. The rest is as in `hookspecs.Footprint`."""

    weights: int
    per_token: int = 0
    adapted: Sequence[Linear] = ()
    per_pass: float = 0.0
    copies: float = 0.0
    kept: float = 0.0
    frozen: int = 0
