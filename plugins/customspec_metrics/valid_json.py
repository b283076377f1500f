"""Valid JSON, and JSON that a schema accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from pydantic import field_validator

from customspec.hookspecs import Answer, Extra, Metric, hookimpl
from customspec.patterns import compiled
from customspec.spec import Options, UnfitError

DATA = frozenset({"const", "default", "enum", "examples"})  # keywords whose values are no schemas
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
LONGEST_INTEGER = 4000  # digits; Python refuses to read more than 4300
MOST_CHECKS = 100_000  # of one value; references to references may double them again and again


class ValidJson:
    """What RFC 8259 calls a JSON text; `NaN` and `Infinity` are none."""

    name = "valid_json"
    summary = "Share of answers that are valid JSON (RFC 8259) as they stand, whatever the reference; 0 to 1."
    task: Literal["generation"] = "generation"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True

    def rows(self, options: Options, answers: Sequence[Answer]) -> Sequence[float]:
        return [float(bool(read_json(answer.prediction))) for answer in answers]

    def score(self, options: Options, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


class JsonSchemaOptions(Options):
    against: dict[str, Any]
    """The JSON Schema that an answer should fit (draft 2020-12, or as its `$schema` says). References stay within it,
    `pattern` is RE2's syntax, `format` is not checked."""

    @field_validator("against")
    @classmethod
    def _is_schema(cls, against: dict[str, Any]) -> dict[str, Any]:
        check_schema(against)
        return against


class JsonSchema:
    """Valid JSON that the schema accepts."""

    name = "json_schema"
    summary = "Share of answers that are valid JSON and fit a JSON Schema, whatever the reference; 0 to 1."
    options = JsonSchemaOptions
    task: Literal["generation"] = "generation"
    lowest = 0.0
    highest = 1.0
    higher_is_better = True
    proportion = True
    extra = Extra(("jsonschema",), "customspec[text-metrics]")

    def rows(self, options: JsonSchemaOptions, answers: Sequence[Answer]) -> Sequence[float]:
        validator = validator_of(options.against)
        return [float(any(_fits(validator, value) for value in read_json(answer.prediction))) for answer in answers]

    def score(self, options: JsonSchemaOptions, answers: Sequence[Answer]) -> float:
        return fmean(self.rows(options, answers))


def read_json(text: str) -> tuple[Any, ...]:
    """The one value that the text holds, in a tuple; () where it is no JSON or nested too deeply to read."""
    try:
        return (json.loads(text, parse_constant=_refuse, parse_int=_integer),)
    except (ValueError, RecursionError):
        return ()


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def _fits(validator: Any, value: Any) -> bool:
    try:
        return bool(validator.is_valid(value))
    except RecursionError:  # nested deeper than can be checked
        return False


def validator_of(schema: Mapping[str, Any]) -> Any:
    """jsonschema's validator, whose patterns are RE2's, and which fetches nothing."""
    import jsonschema
    from referencing import Registry

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    return jsonschema.validators.extend(kind, {"pattern": _pattern})(schema, registry=Registry())


def _pattern(validator: Any, pattern: str, instance: object, _: object) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and compiled(pattern).search(instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises ValueError for what is no JSON Schema, refers to what is not in it, or has patterns that RE2 refuses."""
    import jsonschema

    if not isinstance(schema.get("$schema", ""), str):
        raise UnfitError("this is no JSON Schema: its `$schema` is no address", "remove `$schema`")
    try:
        jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "".join(f"[{part!r}]" for part in error.path)
        hint = f"types: {', '.join(TYPES)}" if "type" in error.path else "its keywords: https://json-schema.org"
        message = f"this is no JSON Schema: {error.message}" + (f" (at {place})" if place else "")
        raise UnfitError(message, hint) from error
    resolver = _check_keywords(schema)
    try:
        if _checks(schema, resolver, {}) > MOST_CHECKS:
            message = f"this JSON Schema checks a value more than {MOST_CHECKS} times: its references multiply"
            raise UnfitError(message, "write out what is referred to most, or refer to less")
        validator_of(schema).is_valid(None)
    except RecursionError as error:
        hint = "let each `$ref` to itself stand under a property or `items`"
        raise UnfitError("this JSON Schema refers to itself without end", hint) from error


def _check_keywords(schema: Mapping[str, Any]) -> Any:
    """Returns what finds the parts that `$ref` names."""
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver()
    for keyword, value in _keywords(schema):
        if keyword == "patternProperties":
            message = "`patternProperties` is not supported: it would not be matched in linear time"
            raise UnfitError(message, "name the properties under `properties`, or write `additionalProperties`")
        if keyword == "pattern" and isinstance(value, str):
            compiled(value)
        if keyword in {"$ref", "$dynamicRef"} and isinstance(value, str):
            try:
                resolver.lookup(value)
            except Unresolvable as error:
                hint = "put that schema under `$defs`, and refer to it: `#/$defs/NAME`"
                raise UnfitError(f"`$ref: {value}` refers to nothing in the schema itself", hint) from error
    return resolver


def _checks(schema: object, resolver: Any, known: dict[int, int]) -> int:
    """How many schemas one value is checked against, at most. Raises RecursionError where there is no end."""
    if not isinstance(schema, Mapping):
        return 1
    if id(schema) not in known:
        known[id(schema)] = 1 + sum(_checks(part, resolver, known) for part in _in_place(schema, resolver))
    return known[id(schema)]


def _in_place(schema: Mapping[str, Any], resolver: Any) -> Iterator[object]:
    """The schemas that the same value is checked against, too."""
    for keyword, value in schema.items():
        if keyword in {"allOf", "anyOf", "oneOf"} and isinstance(value, list):
            yield from value
        elif keyword in {"not", "if", "then", "else"}:
            yield value
        elif keyword == "dependentSchemas" and isinstance(value, Mapping):
            yield from value.values()
        elif keyword in {"$ref", "$dynamicRef"} and isinstance(value, str):
            yield resolver.lookup(value).contents


def _keywords(schema: object) -> Iterator[tuple[str, Any]]:
    """Every key and value at any depth, but not within what is data."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            yield key, value
            if key not in DATA:
                yield from _keywords(value)
    elif isinstance(schema, list | tuple):
        for item in schema:
            yield from _keywords(item)


@hookimpl
def customspec_metrics() -> Sequence[Metric]:
    return [ValidJson(), JsonSchema()]
