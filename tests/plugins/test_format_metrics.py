"""Metrics of texts that must have a form: patterns, JSON, JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError
from scores import score


@pytest.mark.parametrize(
    ("pattern", "match", "text", "expected"),
    [
        (r"\d+", "whole", "42", 1),
        (r"\d+", "whole", "42 ", 0),
        (r"\d+", "part", "it is 42", 1),
        ("a|ab", "whole", "ab", 1),
        ("x*", "whole", "", 1),
        ("x+", "part", "", 0),
        ("(?i)äpfel", "whole", "ÄPFEL", 1),
        (r"\pL+", "whole", "日本語", 1),
        (".", "whole", "🎈", 1),
        ("(?s).*b", "whole", "a\nb", 1),
    ],
)
def test_regex_by_hand(pattern: str, match: str, text: str, expected: float) -> None:
    assert score("regex", [(text, "whatever")], pattern=pattern, match=match) == expected


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_no_trap() -> None:
    assert score("regex", [("a" * 50_000 + "!", "")], pattern="(a+)+") == 0


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", r"(a)\1", "(a{1000}){1000}", ""])
def test_a_pattern_that_re2_cannot_take_is_an_error(pattern: str) -> None:
    with pytest.raises(ValidationError):
        score("regex", [("a", "")], pattern=pattern)


VALID = ["{}", "[]", "null", "0", '"a"', ' {"a": [1, 2.5e3, true]}\n', '"\\u00e9 日"', "1" * 5000, '{"a": 1, "a": 2}']
INVALID = ["", "nul", "{'a': 1}", "{a: 1}", "[1,]", "NaN", "-Infinity", "01", "```json\n{}\n```", "{} {}", "\ufeff{}"]


@pytest.mark.parametrize("text", VALID)
def test_json_is_valid(text: str) -> None:
    assert score("valid_json", [(text, "")]) == 1


@pytest.mark.parametrize("text", [*INVALID, "[" * 200_000])
def test_json_is_invalid(text: str) -> None:
    assert score("valid_json", [(text, "")]) == 0
    assert score("json_schema", [(text, "")], against={"minimum": 0}) == 0


SCHEMA = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "number", "minimum": 0}, "code": {"type": "string", "pattern": "^[A-Z]{2}$"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"amount": 3}, 1),
        ({"amount": 0.5, "code": "DE"}, 1),
        ({"amount": -1}, 0),
        ({"amount": "3"}, 0),
        ({"amount": 3, "code": "DEU"}, 0),
        ({"amount": 3, "note": ""}, 0),
        ({}, 0),
        ([], 0),
    ],
)
def test_json_schema_by_hand(value: object, expected: float) -> None:
    assert score("json_schema", [(json.dumps(value), "")], against=SCHEMA) == expected


def test_a_schema_may_refer_within_itself_and_recur() -> None:
    tree = {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}
    assert score("json_schema", [("[[], [[]]]", ""), ("[1]", "")], against=tree) == 0.5
    assert score("json_schema", [("[" * 500 + "]" * 500, "")], against=tree) == 0  # deeper than can be checked


def test_an_older_draft_is_read_as_such() -> None:
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 0, "exclusiveMinimum": True}
    assert score("json_schema", [("0", ""), ("1", "")], against=old) == 0.5


def test_a_schemas_pattern_cannot_backtrack_for_ever() -> None:
    against = {"pattern": "^(a+)+$"}
    assert score("json_schema", [(json.dumps("a" * 50_000 + "!"), "")], against=against) == 0


DOUBLING = {str(n): {"allOf": [{"$ref": f"#/$defs/{min(n + 1, 39)}"}] * 2} if n < 39 else {} for n in range(40)}


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ({"type": "objekt"}, "no JSON Schema"),
        ({"properties": {"a": {"minimum": "0"}}}, r"at \['properties'\]\['a'\]\['minimum'\]"),
        ({"items": {"pattern": "(?=a)"}}, "no regular expression of RE2"),
        ({"patternProperties": {"a": {}}}, "`patternProperties` is not supported"),
        ({"$ref": "#/$defs/none"}, "refers to nothing in the schema"),
        ({"$ref": "https://example.com/schema.json"}, "refers to nothing in the schema"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "refers to nothing in the schema"),
        ({"$schema": [1]}, r"`\$schema` is no address"),
        ({"$defs": DOUBLING, "$ref": "#/$defs/0"}, "checks a value more than 100000 times"),
        ({"$ref": "#"}, "refers to itself without end"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error(against: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        score("json_schema", [("{}", "")], against=against)


def test_what_a_schema_holds_as_data_is_no_keyword() -> None:
    against = {"enum": [{"pattern": "(?=a)", "$ref": "nowhere"}]}
    assert score("json_schema", [(json.dumps(against["enum"][0]), ""), ("{}", "")], against=against) == 0.5
