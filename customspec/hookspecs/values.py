"""What plugins get and give beside plain values: frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from customspec.header import Linear
from customspec.prompts import Example

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Extra:
    """What a plugin needs beyond what its distribution always brings.

    `modules` are top-level modules, looked for and not imported; `install` is the requirement that brings them.
    """

    modules: tuple[str, ...]
    install: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a technique cannot take a model or rows. `option` is the option at fault, `item` its place in a list.

    `extra` is what would mend it once installed: an `Extra`, or the name of an extra of customspec.
    """

    message: str
    option: str | None = None
    item: int | str | None = None
    hint: str | None = None
    extra: Extra | str | None = None

    @property
    def install(self) -> str | None:
        """The requirement that would mend it."""
        return self.extra.install if isinstance(self.extra, Extra) else self.extra and f"customspec[{self.extra}]"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How texts are generated for one prompt.

    `temperature` 0 is greedy. `top_p` keeps the likeliest tokens that together have this probability.
    `max_new_tokens` counts where the spec sets none; None: from the lengths of what the training rows should give.
    """

    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of a row's generated texts.

    `prediction` is "" where nothing could be read. `votes` counts each answer that was read; `tie`: another answer
    had as many votes as the prediction; `unread`: texts without an answer.
    """

    prediction: str
    votes: Mapping[str, int]
    tie: bool
    unread: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a tuning technique may look at when it adapts a model: the task's own text, as something to begin from."""

    rows: Sequence[tuple[Sequence[int], Sequence[int]]]
    """The training rows as token ids: prompt, and answer with its end."""
    encode: Callable[[str], Sequence[int]]
    """Text to token ids, as the model's tokenizer does it, special tokens left out."""
    instruction: str | None
    """The first row's system message."""
    choices: Sequence[str] | None
    """The possible answers, in classification."""
    steps: int
    """Optimizer steps that training will take."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the model made of a batch, as an objective sees it: of each row, each of its texts. All with gradient,
    float32, where not said otherwise."""

    rows: Sequence[Example]
    """The rows with their columns (`fields`): the first dimension of the tensors."""
    log_likelihoods: Tensor
    """(rows, texts): natural log of p(text | prompt), summed over the text's tokens, its end included."""
    tokens: Tensor
    """(rows, texts), integers: tokens of each text, its end included."""
    logits: Tensor
    """(tokens of all texts, vocabulary): where each token is predicted, text after text, row after row."""
    targets: Tensor
    """(tokens of all texts,): those tokens."""
    reference: Tensor | None
    """(rows, texts), without gradient: `log_likelihoods` under the untrained base, where `needs_reference`."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a tuning technique adds to a pass of the model.

    `virtual_tokens` are vectors before the prompt that run through the model; `prefix_tokens` are keys and values that
    stand there and do not run. `adapted` are the linear maps that have something beside them that trains.
    `per_token`: weights that every token is multiplied with there, where they are not those that train.
    `per_pass`: multiplications forward, whatever the number of tokens, where something as large as weights is made of
    what trains; as many are counted backward. `copies`: numbers in the compute type that are made so and kept for the
    backward pass, for every weight of these maps. `kept`: numbers in the compute type that every token keeps for the
    backward pass, beyond what LoRA keeps. `frozen`: numbers of 4 bytes that lie beside the base and do not
    train. `saved`: how many numbers of 4 bytes the artifact holds, where they are not those that train.
    """

    virtual_tokens: int = 0
    prefix_tokens: int = 0
    adapted: Sequence[Linear] = ()
    per_token: int | None = None
    per_pass: float = 0.0
    copies: float = 0.0
    kept: float = 0.0
    frozen: int = 0
    saved: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One evaluated row, as metrics see it."""

    prediction: str
    """The chosen choice, or the text that was generated."""
    reference: str
    """The right answer."""
    log_likelihood: float | None = None
    """Natural log of p(reference | prompt), summed over its tokens; None unless the metric needs it."""
    tokens: int | None = None
    """Tokens of the reference, its end included; None where `log_likelihood` is."""
