"""What a model's chat template or tokenizer cannot do, as an error that is told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from customspec.errors import MachineError
from customspec.inputs.patience import TooSlowError


class ChatError(MachineError):
    """A conversation that the model's chat template refuses, or a text that its tokenizer cannot take."""


def is_panic(error: BaseException) -> bool:
    """Whether the tokenizers library broke inside: its panics are no Exceptions."""
    return type(error).__name__ == "PanicException"


@contextmanager
def contained() -> Iterator[None]:
    """What the tokenizer raises inside, as a ChatError."""
    try:
        yield
    except TooSlowError as error:
        raise ChatError(
            "the model's tokenizer takes too long: it computes on texts that others read at once"
        ) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise ChatError("the model's tokenizer breaks on a text") from error
