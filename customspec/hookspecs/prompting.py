"""The contract of a prompting technique."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from customspec.hookspecs.values import Reading, Refusal, Sampling
from customspec.prompts import Example, Message
from customspec.spec import PromptingOptions

Selector = Callable[[Example], Sequence[Example]]


class Scorer(Protocol):
    """The untrained base model as a judge of a prompt: how likely it makes the right answers."""

    def __call__(self, options: Mapping[str, Any], queries: Sequence[Example], /) -> Sequence[float]:
        """For each query the natural logarithm of p(its own answer | its conversation), summed over tokens.

        The answer is what `written` makes of the query, with its end; the conversation is what the technique, with
        `options` in place of those that it was given, builds over the training rows under the run's seed. -inf where
        both are longer than the model's context and `data.on_long` does not cut them.

        Raises ValueError for options that are none of the technique's.
        """


class PromptingTechnique(Protocol):
    """Changes what the model is shown; trains nothing."""

    @property
    def name(self) -> str:
        """The entry point's name."""

    @property
    def family(self) -> Literal["prompting"]:
        """`prompting`."""

    @property
    def summary(self) -> str:
        """One paragraph: when to use it, and its source."""

    @property
    def options(self) -> type[PromptingOptions]:
        """The model of its options; every field has a docstring."""

    def shots(self, options: Any) -> int:
        """How many training rows a query's demonstrations need at least, the query itself not counted. With 0,
        `select` may be given none."""

    def select(self, options: Any, rows: Sequence[Example], seed: int) -> Selector:
        """A function from a query to its demonstrations, in the order shown.

        `rows` are the rendered training rows; a query that is itself among them (equal `id`) must never be its own
        demonstration. Equal arguments give equal demonstrations. The query's answer is not looked at: it is empty when
        it counts.
        """


# Optional methods of a prompting technique: each is found by its name and stands alone.


@runtime_checkable
class Refuses(Protocol):
    """Looks at the training rows before anything runs."""

    def refusal(self, options: Any, rows: Sequence[Example]) -> Refusal | None:
        """Why these options cannot be followed with these rows, on this machine; None where they can."""


@runtime_checkable
class ReadsColumns(Protocol):
    """Needs columns that the prompt does not name."""

    def columns(self, options: Any) -> Mapping[str, str]:
        """Columns of the training rows, each under the option that names it."""


@runtime_checkable
class ReadsFiles(Protocol):
    """Needs files or folders of the person's."""

    def files(self, options: Any) -> Mapping[str, str]:
        """Paths as written, each under the option that names it.

        Every other method then gets options with the whole path; what lies there is part of a step's fingerprint.
        """


@runtime_checkable
class Fits(Protocol):
    """Finds options of its own on the training rows, before they are used."""

    def fit(self, options: Any, rows: Sequence[Example], scorer: Scorer, seed: int) -> Mapping[str, Any]:
        """Options that take the place of those given; {} where none should.

        `rows` are the rendered training rows. Equal arguments give equal options. An option that names a file is not
        among them: it is the person's.
        """


@runtime_checkable
class Writes(Protocol):
    """Wants more written than the bare answer."""

    def written(self, options: Any, example: Example) -> str:
        """What the model should write for a row whose answer is known: shown in demonstrations, learned in training."""


@runtime_checkable
class Converses(Protocol):
    """Puts the conversation together itself."""

    def messages(self, options: Any, query: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
        """The conversation up to the answer. The answers of `shots` come as `written` has them."""


@runtime_checkable
class Decodes(Protocol):
    """Says how texts are generated."""

    def decoding(self, options: Any) -> Sampling | None:
        """Samples, temperature and length; None: greedy, as without this method."""


@runtime_checkable
class Reads(Protocol):
    """Reads the answer out of the generated text: text is then generated even where there are choices."""

    def read(self, options: Any, outputs: Sequence[str], choices: Sequence[str] | None) -> Reading:
        """The prediction from one row's texts; with `choices`, one of them or ""."""
