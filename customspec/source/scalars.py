"""What unquoted text means: the core schema of YAML 1.2, without its traps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

MAX_DIGITS = 20

_WORDS: Mapping[str, bool | None] = MappingProxyType(
    dict.fromkeys(("", "~", "null", "Null", "NULL"), None)
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
_NUMBER_STARTS = frozenset("-+.0123456789")
_DECIMAL = re.compile(r"([-+]?)([0-9]+)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class NumberError(ValueError):
    """A number that is refused, with what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def core_value(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar. Raises NumberError for a number with leading zeros or too many digits."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    return _number(text)


def reads_as_text(text: str) -> bool:
    """Whether the text, unquoted, is read as itself, and as no number, no boolean and no empty value."""
    try:
        return core_value(text) == text
    except NumberError:
        return False


def _number(text: str) -> str | int | float:
    if decimal := _DECIMAL.fullmatch(text):
        return _decimal(decimal)
    if _BASED.fullmatch(text):
        _check_size(text[2:])
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def _decimal(match: re.Match[str]) -> int:
    sign, digits = match.groups()
    _check_size(digits)
    if digits.startswith("0") and len(digits) > 1:
        raise _ambiguous(sign, digits)
    return int(match.group())


def _check_size(digits: str) -> None:
    if len(digits) > MAX_DIGITS:
        raise NumberError(f"a whole number of {len(digits)} digits", f"at most {MAX_DIGITS}; quote it if it is text")


def _ambiguous(sign: str, digits: str) -> NumberError:
    """YAML 1.1 reads leading zeros as octal and YAML 1.2 as decimal."""
    readings = [int(digits)] if set(digits) & {"8", "9"} else [int(digits, 8), int(digits)]
    choices = " or ".join(dict.fromkeys(f"{sign}{reading}" for reading in readings))
    message = f"`{sign}{digits}` is ambiguous: readers of YAML disagree about leading zeros"
    return NumberError(message, f"write {choices}, or quote it if it is text")
