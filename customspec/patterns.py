"""Regular expressions that others wrote, by RE2: a match takes time linear in the text, whatever the pattern."""

from __future__ import annotations

from typing import Any

from customspec.errors import UnfitError


def compiled(pattern: str, *, called: str | None = None, case_sensitive: bool = True) -> Any:
    """RE2's pattern. Raises ValueError, which names it as `called` and has RE2's reason, for what RE2 does not take."""
    import re2

    settings = re2.Options()
    settings.log_errors, settings.case_sensitive = False, case_sensitive
    try:
        return re2.compile(pattern, settings)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise UnfitError(f"`{called or pattern}` is no regular expression of RE2: {reason}", _other(reason)) from error


def _other(reason: str) -> str:
    if "perl operator" in reason or "escape sequence" in reason:
        return "RE2 has no look-around and no backreferences: match what stands around, and put the part in a group"
    return "a bracket or sign that stands for itself has `\\` before it"
