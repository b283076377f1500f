"""The error for a model that cannot be used."""

from __future__ import annotations

from customspec.errors import Code, Exit


class ModelError(ValueError):
    """A model that cannot be used: `exit` tells whether the spec or the model is at fault."""

    def __init__(self, code: Code, message: str, *, hint: str | None = None, exit: Exit = Exit.ENVIRONMENT) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.exit = exit
