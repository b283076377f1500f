"""Regular expressions that others wrote, by RE2: a match takes time linear in the text, whatever the pattern. Those
that a library gives to Python's own `re` are looked at before: whether they can be matched in many ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from math import inf, prod
from typing import Any, Final

from customspec.errors import UnfitError

NAME: Final = 64  # characters of a module's name
MOST_WAYS: Final = 16 * NAME**3  # three `.*` and a few alternatives
MOST_WAYS_WITHIN: Final = 16 * NAME  # of what libraries put between two `.*`: an item of a list, a key
SIGNS: Final = re.compile(r"[\\^$*+?{}\[\]|()]")
# PEFT's options that are no patterns, whatever is in them
TEXTS: Final = frozenset({"prompt_tuning_init_text", "base_model_name_or_path", "revision"})


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


def slow_pattern(config: object) -> str | None:
    """The first text in a configuration that, as a pattern of Python's `re`, might take for ever on the name of a
    module; also what is no pattern by itself, and may become one. None where there is no such text."""
    whole = MOST_WAYS if isinstance(config, str) else MOST_WAYS_WITHIN
    return next((text for text, most in _texts(config, whole) if SIGNS.search(text) and not _ways(text) <= most), None)


def _texts(config: object, most: int) -> Iterable[tuple[str, int]]:
    """The texts in it, each with how many ways it may have."""
    if isinstance(config, str):
        yield config, most
    elif isinstance(config, Mapping):
        for name, value in config.items():
            yield str(name), MOST_WAYS_WITHIN
            yield from () if name in TEXTS else _texts(value, MOST_WAYS)
    elif isinstance(config, Iterable):
        for value in config:
            yield from _texts(value, MOST_WAYS_WITHIN)


def _ways(pattern: str) -> float:
    """In how many ways a pattern can be tried on a name, at most; infinite for what is none."""
    try:
        return _ways_of(import_module("re._parser").parse(pattern))
    except (re.error, RecursionError, OverflowError):
        return inf


def _ways_of(parsed: Any) -> float:
    return prod(_ways_of_part(str(kind), value) for kind, value in parsed)


def _ways_of_part(kind: str, value: Any) -> float:
    match kind:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN" | "AT":
            return 1
        case "BRANCH":
            return sum(map(_ways_of, value[1]))
        case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
            return _ways_of(value[-1])
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, inner = value
            single = len(inner) == 1 and str(inner[0][0]) in {"LITERAL", "NOT_LITERAL", "ANY", "IN"}
            return 1 + _ways_of(inner) if most == 1 else max(1, min(most, NAME) - least + 1) if single else inf
    return inf
