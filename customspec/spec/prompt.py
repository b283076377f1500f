"""What the model is shown, and how it answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from customspec.errors import UnfitError
from customspec.spec.base import Strict, Text, Texts


class PromptPatch(Strict):
    """A candidate's own prompt: what is absent comes from the spec's prompt."""

    system: Text | None = None
    """Jinja2 template of the system message."""
    user: Text | None = None
    """Jinja2 template of the user's message; the columns are the variables."""
    answer: Text | None = None
    """Jinja2 template of the answer to learn and to score."""
    choices: Literal["from_data"] | Texts | None = None
    """The possible answers: a list, or `from_data` (the distinct training answers; without training rows, those of
    the other splits). Absent: free generation."""
    messages: Text | None = None
    """Column of chat messages, instead of templates; the last assistant turn is the answer."""


class Prompt(PromptPatch):
    """What the model is shown and what it should answer."""

    @model_validator(mode="after")
    def _complete(self) -> Prompt:
        if self.messages is not None and (self.user or self.answer or self.system):
            given = [f"`{name}`" for name in ("system", "user", "answer") if getattr(self, name) is not None]
            hint = f"remove {' and '.join(given)}, or remove `messages`"
            raise UnfitError("`messages` stands instead of `system`, `user` and `answer`", hint)
        missing = [name for name in ("user", "answer") if getattr(self, name) is None]
        if self.messages is None and missing:
            hint = " and ".join(f'`{name}: "{{{{ COLUMN }}}}"`' for name in missing)
            raise UnfitError("a prompt needs " + " and ".join(f"`{name}`" for name in missing), f"add {hint}")
        return self


class Generation(Strict):
    """Generated text: greedy where a technique does not sample, up to a maximum, ending early at a stop text."""

    max_new_tokens: int | None = Field(None, ge=1, le=32_768)
    """Most tokens of one answer. Absent: from the lengths of the training answers."""
    stop: Texts | None = None
    """Texts that end an answer; they are not part of it."""
