"""The error for a model that cannot be used."""

from __future__ import annotations

from typing import Final

from customspec.errors import Code, Exit

ANEW: Final = "copy it anew from where the model comes from"
ITS_OWN: Final = "copy config.json anew: it has to be the one that was saved with these weights"
ANOTHER: Final = "name another model"
SAVED: Final = "copy the folder anew, whole, as save_pretrained has written it"


class ModelError(ValueError):
    """A model that cannot be used: `exit` tells whether the spec or the model is at fault."""

    def __init__(self, code: Code, message: str, *, hint: str | None = None, exit: Exit = Exit.ENVIRONMENT) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.exit = exit


def unusable(message: str, hint: str) -> ModelError:
    """The commonest one: files are there, and no model can be made of them."""
    return ModelError(Code.MODEL_UNUSABLE, message, hint=hint)
