"""A spec is kept in git, and all of it goes into plans, stores and results: it is no place for a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from customspec.compiler.problems import Problems
from customspec.errors import Code, holds_secret
from customspec.source import KeyPath


def check_secrets(value: Any, problems: Problems, path: KeyPath = ()) -> None:
    """Every text that holds a token or a private key is a problem."""
    if isinstance(value, str) and holds_secret(value):
        hint = "take it out and revoke it; a hub's token belongs into the environment: HF_TOKEN"
        problems.add(Code.SECRET, path, "this looks like a secret; a spec is kept, printed and stored", hint=hint)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_secrets(inner, problems, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_secrets(inner, problems, (*path, index))
