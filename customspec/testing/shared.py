"""What is asked of every technique: how it names and describes itself, its options, and how lightly it is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from customspec.plan import digest
from customspec.registry import MEMBERS
from customspec.spec import RESERVED, Options, TrainingOptions
from customspec.testing.checks import Check, RuleError, require
from customspec.testing.subject import Subject

NAME = re.compile(r"[a-z][a-z0-9_]*")
STRICT: Mapping[str, Any] = {"extra": "forbid", "frozen": True, "strict": True}
BASES: Mapping[str, type[Options]] = {"prompting": Options, "tuning": TrainingOptions}


def shared_checks(subject: Subject) -> Iterator[Check]:
    """The rules of both families."""
    yield Check(
        "members", "It has every member of its family, and a name that a spec can hold.", lambda: _members(subject)
    )
    yield Check("summary", "Its summary is one paragraph: when to use it, and its source.", lambda: _summary(subject))
    yield Check(
        "options_schema",
        "Its options are strict, every field has a docstring, and they make a JSON Schema.",
        lambda: _schema(subject),
    )
    yield Check("options_as_json", "Its options can be written as JSON and read again.", lambda: _as_json(subject))
    yield Check("light_import", "Importing its module loads no heavy library.", lambda: _light(subject))
    yield Check(
        "fingerprint",
        "A plan's fingerprint is the same in every process and for every order of the options.",
        lambda: _fingerprint(subject),
    )


def _members(subject: Subject) -> None:
    technique = subject.technique
    family = getattr(technique, "family", None)
    require(family in BASES, f"`family` is {family!r}; it must be `prompting` or `tuning`")
    missing = [name for name in MEMBERS[str(family)] if getattr(technique, name, None) is None]
    require(not missing, f"it lacks {', '.join(missing)}")
    name = technique.name
    require(NAME.fullmatch(name), f"the name `{name}` must be lower-case letters, digits and `_`")
    require(name not in RESERVED, f"the name `{name}` is a reserved key of a spec's entries")


def _summary(subject: Subject) -> None:
    summary = subject.technique.summary
    require(isinstance(summary, str) and summary.strip(), "`summary` is empty")
    require("\n\n" not in summary, "`summary` has more than one paragraph")
    require(summary == summary.strip() and summary.endswith("."), "`summary` must be whole sentences, without margins")


def _schema(subject: Subject) -> None:
    options = subject.technique.options
    base = BASES[subject.technique.family]
    require(isinstance(options, type) and issubclass(options, base), f"`options` must be a subclass of {base.__name__}")
    config = options.model_config
    loose = [
        key for key, kept in {"extra": "forbid", "frozen": True, "strict": True}.items() if config.get(key) != kept
    ]
    require(not loose, f"`options` loosens the model's {', '.join(loose)}; a mistyped option would pass unseen")
    bare = [name for name, field in options.model_fields.items() if not (field.description or "").strip()]
    require(not bare, f"no docstring under {', '.join(bare)}")
    try:
        json.dumps(options.model_json_schema(), allow_nan=False)
    except Exception as error:
        raise RuleError(f"no JSON Schema can be made of the options: {type(error).__name__}: {error}") from error


def _as_json(subject: Subject) -> None:
    options = subject.options
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


def _light(subject: Subject) -> None:
    loaded = subject.fresh[0].imported
    require(not loaded, f"importing {subject.module} loads {', '.join(loaded)}; import them inside the methods")


def _fingerprint(subject: Subject) -> None:
    here = digest(subject.options.model_dump(mode="json"))
    for hash_seed, fresh in enumerate(subject.fresh, 1):
        there, turned = fresh.answer("options"), fresh.answer("turned")
        require(there == here, f"the options are written otherwise under PYTHONHASHSEED={hash_seed}")
        require(turned == here, "the options are written otherwise when their order is turned round")
