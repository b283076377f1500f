"""The rules for the model of a plugin's options, a technique's as a metric's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from customspec.plan import digest
from customspec.spec import Options
from customspec.spec.described import descriptions
from customspec.testing.checks import Check, RuleError, require
from customspec.testing.fresh import Fresh

STRICT: Mapping[str, Any] = {"extra": "forbid", "frozen": True, "strict": True}


def options_of(model: type[Options], given: Mapping[str, Any]) -> Options:
    """Raises RuleError when the options that were given are not the plugin's."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        tried = json.dumps(dict(given))
        raise RuleError(f"the options {tried} are not valid; give the check others ({error})") from error


def options_checks(
    model: Callable[[], type[Options]],
    base: Callable[[], type[Options]],
    options: Callable[[], Options],
    fresh: Callable[[], Sequence[Fresh]],
) -> Iterator[Check]:
    """The rules for options; each argument is asked for when a rule is tried."""
    yield Check(
        "options_schema",
        "Its options are strict, every field has a docstring, and they make a JSON Schema.",
        lambda: _schema(model(), base()),
    )
    yield Check("options_as_json", "Its options can be written as JSON and read again.", lambda: _as_json(options()))
    yield Check(
        "fingerprint",
        "A plan's fingerprint is the same in every process and for every order of the options.",
        lambda: _fingerprint(options(), fresh()),
    )


def _schema(options: type[Options], base: type[Options]) -> None:
    require(isinstance(options, type) and issubclass(options, base), f"`options` must be a subclass of {base.__name__}")
    loose = [key for key, kept in STRICT.items() if options.model_config.get(key) != kept]
    require(not loose, f"`options` loosens the model's {', '.join(loose)}; a mistyped option would pass unseen")
    described = descriptions(options)
    bare = [name for name in options.model_fields if not described.get(name, "").strip()]
    require(not bare, f"no docstring under {', '.join(bare)}")
    try:
        json.dumps(options.model_json_schema(), allow_nan=False)
    except Exception as error:
        raise RuleError(f"no JSON Schema can be made of the options: {type(error).__name__}: {error}") from error


def _as_json(options: Options) -> None:
    try:
        written = json.dumps(options.model_dump(mode="json"), allow_nan=False)
    except ValueError as error:
        raise RuleError(f"the options cannot be written as JSON: {error}") from error
    again = _read(type(options), json.loads(written), written)
    changed = [name for name in type(options).model_fields if getattr(again, name) != getattr(options, name)]
    require(not changed, f"{', '.join(changed)} changed when written as JSON and read again: {written}")


def _read(model: type[BaseModel], data: Any, written: str) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise RuleError(
            f"what the options are written as is refused when read again, at {places}: {written}; a tuple needs "
            "`Field(strict=False)` to be written as a list"
        ) from error


def _fingerprint(options: Options, fresh: Sequence[Fresh]) -> None:
    here = digest(options.model_dump(mode="json"))
    for hash_seed, each in enumerate(fresh, 1):
        there, turned = each.answer("options"), each.answer("turned")
        require(there == here, f"the options are written otherwise under PYTHONHASHSEED={hash_seed}")
        require(turned == here, "the options are written otherwise when their order is turned round")
