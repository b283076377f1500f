"""What a model's chat template or tokenizer cannot do, as an error that is told in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from customspec.errors import MachineError
from customspec.inputs.patience import TooSlowError

MEND: Final = (
    "mend the model's chat template (chat_template.jinja, or `chat_template` in tokenizer_config.json), or name "
    "another model"
)
OTHER_MODEL: Final = "name another model, or give this one the tokenizer of the model that it was made from"


class ChatError(MachineError):
    """A conversation that the model's chat template refuses, or a text that its tokenizer cannot take; `hint` is what
    to do about it."""

    def __init__(self, message: str, hint: str = MEND) -> None:
        super().__init__(message)
        self.hint = hint


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
            "the model's tokenizer takes too long: it computes on texts that others read at once", OTHER_MODEL
        ) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise ChatError("the model's tokenizer breaks on a text", OTHER_MODEL) from error
