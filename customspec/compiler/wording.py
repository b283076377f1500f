"""Pydantic's errors in the reader's words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from customspec.suggest import closest, did_you_mean

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
REVISION = r"^\w[\w+-]*(\.[\w+-]+)*(/\w[\w+-]*(\.[\w+-]+)*)*$"
PATTERNS: Mapping[str, str] = {
    r"^[a-z0-9][a-z0-9._-]{0,63}$": "a name of a-z 0-9 . _ - that begins with a letter or digit, 64 at most",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": "a name of A-Z a-z 0-9 . _ -, 64 at most",
    r"^\w[\w.-]*/\w[\w.-]*$": "`owner/name`",
    r"^[A-Za-z_]\w*$": "the name of an installed package",
    REVISION: "the name of a commit, tag or branch",
}
BOOLEANS: Mapping[str, str] = {
    "yes": "true",
    "on": "true",
    "true": "true",
    "no": "false",
    "off": "false",
    "false": "false",
}
REQUIRED: Mapping[str, tuple[str, str]] = {"data": ("train", "test"), "prompt": ("user", "answer")}
COUNTS = ("shots", "r", "num_virtual_tokens")  # what a bare number after a technique's name means
OWNER_AND_NAME = re.compile(r"[\w.-]+/[\w.-]+")
TYPOGRAPHIC = re.compile("[\u2018-\u201f](.*)[\u2018-\u201f]")
DASH = re.compile("[\u2010-\u2015\u2212]")  # what word processors make of a hyphen
PLAIN_TEXT = re.compile(r"[A-Za-z_./][\w./ -]*")
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
    return EXPECTED[kind].format_map({name: as_yaml(bound) for name, bound in context.items()})


def described(value: Any) -> str:
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


def as_mapping(key: str, value: object, keys: Sequence[str]) -> str | None:
    """A value that stands for a whole mapping, as that mapping."""
    if isinstance(value, list | Mapping) or value is None:
        return None
    if key == "base_model" and isinstance(value, str):
        return f"{{{'hub' if OWNER_AND_NAME.fullmatch(value) else 'path'}: {as_yaml(value)}}}"
    if key == "goal" and isinstance(value, str):
        found = re.fullmatch(r"([a-z]\w*)\s*(?:(>=?|<=?)\s*([\d.]+))?", value)
        bound = "at_most" if found and "<" in (found[2] or "") else "at_least"
        return f"{{metric: {found[1]}, {bound}: {found[3] or 0.8}}}" if found else None
    if key == "goal" and _is_plain_number(value):
        return f"{{metric: accuracy, at_least: {as_yaml(value)}}}"
    if key in REQUIRED and isinstance(value, str):
        first, second = REQUIRED[key]
        return f"{{{first}: {as_yaml(value)}, {second}: …}}"
    counted = [name for name in COUNTS if name in keys] if _is_plain_number(value) else []
    meant = counted or (keys if len(keys) == 1 else ())
    return f"{{{meant[0]}: {as_yaml(value)}}}" if meant else None


def _is_plain_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def remedy(error: ErrorDetails) -> str | None:
    """What to write instead, where that is certain."""
    kind, value = error["type"], error["input"]
    if kind == "literal_error" and isinstance(value, str):
        nearest = closest(value, re.findall(r"'([^']+)'", error["ctx"]["expected"]), {})
        return did_you_mean(nearest)
    if kind == "string_type" and isinstance(value, int | float):
        return f'quote it: "{as_yaml(value)}"'
    if kind == "string_pattern_mismatch":
        pattern = str(error["ctx"]["pattern"])
        return None if pattern == REVISION else _other_name(pattern, str(value))
    if kind in {"int_type", "float_type"} and isinstance(value, list) and value:
        return "write one value; for several, make each an entry with an `id` of its own"
    if kind == "tuple_type":
        return _as_list(value)
    return _other_spelling(kind, value)


def _as_list(value: object) -> str | None:
    if value == "":
        return None  # nor may an item be empty
    if isinstance(value, Mapping):
        return "start each item with `- `"
    if isinstance(value, str) and re.match(r"-\w", value):
        return "write a space after each `-`"
    if isinstance(value, str) and (dash := DASH.match(value)):
        return f"write `- `, a hyphen and a space, instead of `{dash[0]}`"
    return f"write [{as_yaml(value)}]"


def _other_name(pattern: str, value: str) -> str | None:
    """The name that was probably meant, where the pattern takes it."""
    if quoted := TYPOGRAPHIC.fullmatch(value):
        return f'replace the typographic quotes by straight ones: "{quoted[1]}"'
    guesses = (
        value.partition("huggingface.co/")[2].strip("/"),
        value.replace("-", "_"),
        re.sub(r"[^a-z0-9._-]+", "-", value.lower())[:64].strip("-._"),
    )
    meant = next((guess for guess in guesses if guess and re.match(pattern, guess)), None)
    return f"for instance: {meant}" if meant else None


def _other_spelling(kind: str, value: object) -> str | None:
    if kind in {"int_type", "float_type"} and isinstance(value, str):
        return "remove the quotes" if _is_number(value, whole=kind == "int_type") else _as_number(value)
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in BOOLEANS:
        return f"write {BOOLEANS[value.lower()]}"
    return None


def _as_number(text: str) -> str | None:
    """A number in another notation, in YAML's."""
    if percent := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text):
        return f"write {float(percent[1]) / 100:g}"
    if comma := re.fullmatch(r"(-?\d+),(\d+)", text):
        return f"write {comma[1]}.{comma[2]}"
    if power := re.fullmatch(r"(?:(\d+)\s*[x*]\s*)?10(?:\^|\*\*)(-?\d+)", text):
        return f"write {power[1] or 1}e{power[2]}"
    return None


def as_yaml(value: object) -> object:
    """As YAML would have it: `true`, 1 for 1.0, and quotes where a text needs them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if PLAIN_TEXT.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_number(text: str, *, whole: bool) -> bool:
    return re.fullmatch(r"[-+]?\d+" if whole else r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None
