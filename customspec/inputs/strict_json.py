"""Strict JSON: what `json` accepts beyond the standard, or silently loses, is a fault with a place. Pure."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

SPACE: Final = " \t\r\n"  # JSON's white space; U+2028 and its like are text
_NOT_SPACE: Final = re.compile(f"[^{SPACE}]")
_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN: Final = re.compile(
    rf"(?P<open>\{{)|(?P<close>\}})|(?P<key>{_STRING})\s*+:|(?P<text>{_STRING})"
    r"|(?P<number>-?(?:NaN|Infinity|\d[\d.eE+-]*+))"
)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_NUL: Final = r"\u0000"
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*+\\u0000")
_UNFINISHED: Final = re.compile(r'[^{}\[\],:"\s]{0,6}\s*')  # at most the start of a literal or of an escape
_LONGEST_QUOTE: Final = 60
_QUOTES: Final = 'keys and texts stand in double quotes, as in {"text": "…"}; no comma stands before `}`'
_LIBRARY: Final = "let a JSON library write the rows: it quotes and escapes what has to be"
_NO_NUMBER: Final = "use null or drop the row"


class JsonError(ValueError):
    """Text that is not strict JSON: `offset` counts characters from 0; `cut` says that the text ends too early."""

    def __init__(self, message: str, offset: int, *, cut: bool = False, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.cut = cut
        self.hint = hint


def decode_object(text: str, start: int = 0) -> tuple[dict[str, Any], int]:
    """The object whose brace is at `start`, and the offset behind it. Raises JsonError.

    Beyond the grammar these are faults: a key twice in one object, a number that is not finite,
    half of a surrogate pair, a NUL character.
    """
    try:
        fields: dict[str, Any]
        fields, end = _DECODER.raw_decode(text, start)
        if _SURROGATE.search(text, start, end):
            json.dumps(fields, ensure_ascii=False).encode()  # refuses a half of a pair
        if text.find(_NUL, start, end) >= 0 and _ESCAPED_NUL.search(text, start, end):
            raise ValueError("a NUL character is not text")
    except json.JSONDecodeError as error:
        hint = _QUOTES if "double quotes" in error.msg else _LIBRARY
        raise JsonError(f"not JSON: {_lower(error.msg)}", error.pos, cut=_is_cut(text, error), hint=hint) from error
    except RecursionError as error:
        raise JsonError("nested too deeply", start, hint="write the inner part as text") from error
    except ValueError as error:
        raise next(_faults(text, start), JsonError(f"not JSON: {error}", start, hint=_LIBRARY)) from error
    return fields, end


def skip_space(text: str, at: int = 0) -> int:
    """The offset of the first character from `at` on that is not white space; the text's length if there is none."""
    found = _NOT_SPACE.search(text, at)
    return found.start() if found else len(text)


def quote(text: str) -> str:
    """A name from a file, safe in a message: in backquotes, clipped, and without control characters."""
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
    return "`" + "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown) + "`"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key appears twice")
    return unique


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


# json's own scanner does the work, so that it runs in C; where a check fails, `_faults` looks for the place
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)


def _lower(message: str) -> str:
    return message[0].lower() + message[1:].removesuffix(" at").removesuffix(" starting")


def _is_cut(text: str, error: json.JSONDecodeError) -> bool:
    return error.msg.startswith("Unterminated") or bool(_UNFINISHED.fullmatch(text, error.pos))


def _faults(text: str, start: int) -> Iterator[JsonError]:
    """The faults of the object at `start`, which follows JSON's grammar, in its order; and of what follows."""
    objects: list[set[str]] = []  # the keys seen so far in each object that is open
    key = ""
    for token in _TOKEN.finditer(text, start):
        kind, word = token.lastgroup, token[token.lastindex or 0]
        if kind == "open":
            objects.append(set())
        elif kind == "close":
            objects.pop()
        elif kind == "number":
            yield from _number_faults(word, token.start())
        else:
            value = json.loads(word)
            yield from _text_faults(value, token.start(), quote(key) if kind == "text" else "a key")
            if kind == "key":
                key = value
                yield from _key_faults(key, objects[-1], token.start())


def _key_faults(key: str, seen: set[str], offset: int) -> Iterator[JsonError]:
    if key in seen:
        yield JsonError(f"key {quote(key)} appears twice in one row", offset, hint="remove one, or rename it")
    seen.add(key)


def _number_faults(word: str, offset: int) -> Iterator[JsonError]:
    if word.endswith(("NaN", "Infinity")):
        yield JsonError(f"{word} is not JSON", offset, hint=_NO_NUMBER)
    elif word.lstrip("-").isdecimal():
        if 0 < sys.get_int_max_str_digits() < len(word.lstrip("-")):
            yield JsonError(f"{quote(word)} has too many digits for a number", offset, hint="quote it: it is text")
    elif not math.isfinite(float(word)):
        yield JsonError(f"{quote(word)} is too large for a number", offset, hint=_NO_NUMBER)


def _text_faults(value: str, offset: int, where: str) -> Iterator[JsonError]:
    if "\0" in value:
        yield JsonError(f"a NUL character in {where} is not text", offset, hint=r"remove the `\u0000`")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(value[error.start]):04X}"
        message = f"unpaired surrogate {half} in {where}; the text cannot be stored as UTF-8"
        yield JsonError(message, offset, hint="write both halves of the character, or remove the one")
