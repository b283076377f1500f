"""Pydantic's errors in the reader's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from customspec.suggest import closest

EXPECTED: Mapping[str, str] = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list with at least {min_length} item",
    "too_long": "a list with at most {max_length} items",
}
PATTERNS: Mapping[str, str] = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "a name of a-z 0-9 . _ - that begins with a letter or digit, 64 at most",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": "a name of A-Z a-z 0-9 . _ -, 64 at most",
    r"^[\w.-]+/[\w.-]+$": "`owner/name`",
    r"^[A-Za-z_]\w*$": "the name of an installed package",
}
BOOLEANS: Mapping[str, str] = {
    "yes": "true",
    "on": "true",
    "true": "true",
    "no": "false",
    "off": "false",
    "false": "false",
}
WANTED_KINDS = {"int_type", "float_type", "string_type", "bool_type", "tuple_type"}


def expectation(error: ErrorDetails) -> str:
    """What should have stood there."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "`")
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(str(context["pattern"]), f"text that matches {context['pattern']}")
    if kind not in EXPECTED:
        return error["msg"].removeprefix("Input should be ")
    return EXPECTED[kind].format_map({name: _plain(bound) for name, bound in context.items()})


def shown(value: Any) -> str:
    """What did stand there, with its kind."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str | list | tuple | Mapping) and not value:
        return "empty text" if isinstance(value, str) else "an empty list" if value in ([], ()) else "an empty mapping"
    if isinstance(value, str):
        return f'text "{value if len(value) <= 40 else value[:37] + "…"}"'
    if isinstance(value, int | float):
        return str(value)
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def remedy(error: ErrorDetails) -> str | None:
    """What to write instead, where that is certain."""
    kind, value = error["type"], error["input"]
    if kind == "literal_error" and isinstance(value, str):
        nearest = closest(value, re.findall(r"'([^']+)'", error["ctx"]["expected"]), {})
        return f"did you mean `{nearest}`?" if nearest else None
    if kind == "string_type" and isinstance(value, int | float):
        return f'quote it: "{_plain(value)}"'
    if kind == "tuple_type":
        return "start each item with `- `" if isinstance(value, Mapping) else f"write [{_plain(value)}]"
    return _other_spelling(kind, value)


def _other_spelling(kind: str, value: object) -> str | None:
    if kind in {"int_type", "float_type"} and isinstance(value, str) and _is_number(value, whole=kind == "int_type"):
        return "remove the quotes"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in BOOLEANS:
        return f"write {BOOLEANS[value.lower()]}"
    return None


def _plain(value: object) -> object:
    """As YAML would have it: `true`, and 1 for 1.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_number(text: str, *, whole: bool) -> bool:
    return re.fullmatch(r"[-+]?\d+" if whole else r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None
