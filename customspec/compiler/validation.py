"""Pass one and two of validation: data against a model, every problem at its place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from customspec.compiler.problems import Problems
from customspec.compiler.renames import certain_rename
from customspec.compiler.suggesting import NOWHERE, Spot, addition, described_as, filling, hint_of, spot, suggestion
from customspec.compiler.wording import WANTED_KINDS, as_mapping, described, expectation, remedy
from customspec.errors import MOST_PROBLEMS, Code
from customspec.source import KeyPath
from customspec.spec import RESERVED, MetricEntry, Spec, TechniqueEntry
from customspec.suggest import NO_KEYS, certain, closest, did_you_mean

M = TypeVar("M", bound=BaseModel)
Faults = Mapping[KeyPath, list[ErrorDetails]]
MAPPINGS = {"model_type", "model_attributes_type", "dict_type"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the document: the model that it has to fit, where it stands, what messages call it."""

    model: type[BaseModel]
    at: KeyPath
    owner: str
    problems: Problems


def validate(model: type[M], data: object, problems: Problems, at: KeyPath = (), owner: str = "the spec") -> M | None:
    """The validated model, or None with every problem added; `at` is where `data` stands in the document."""
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        tell(model, faults_of(invalid, data), problems, at, owner)
        return None


def faults_of(invalid: ValidationError, data: object) -> Faults:
    """What is wrong with the data, by its paths inside it; as many as are told, and one: to look for what each was
    meant to be takes its time."""
    return dict(islice(_by_path(invalid.errors(include_url=False), data).items(), MOST_PROBLEMS + 1))


def tell(model: type[BaseModel], faults: Faults, problems: Problems, at: KeyPath = (), owner: str = "the spec") -> None:
    """Add a problem for each fault."""
    renamed = {
        (*path[:-1], meant_by(model, path)) for path, errors in faults.items() if errors[0]["type"] == "extra_forbidden"
    }
    part = _Part(model, at, owner, problems)
    for path, errors in faults.items():
        if errors[0]["type"] != "missing" or path not in renamed:  # there, by another name: one mistake, told once
            _add(part, path, errors)


def _by_path(errors: Sequence[ErrorDetails], data: object) -> dict[KeyPath, list[ErrorDetails]]:
    """Errors by the path a person wrote: pydantic's own marks for the arms of a union are cut off.

    A list or mapping with faulty items is at fault by its items alone, whatever else pydantic says of it.
    """
    grouped: dict[KeyPath, list[ErrorDetails]] = defaultdict(list)
    for error in errors:
        if error["type"] in {"extra_forbidden", "missing"}:
            *parent, last = error["loc"]
            grouped[(*_existing(tuple(parent), data), last)].append(error)
        else:
            grouped[_existing(error["loc"], data)].append(error)
    around = {path[:length] for path in grouped for length in range(len(path))}
    return {path: found for path, found in grouped.items() if path not in around}


def _existing(path: KeyPath, data: object) -> KeyPath:
    known: list[str | int] = []
    for part in path:
        inside = _inside(data, part)
        if inside is not None:  # else an arm of a union, or a form that we widened ourselves
            known.append(part)
            (data,) = inside
    return tuple(known)


def _inside(data: object, part: str | int) -> tuple[object] | None:
    if isinstance(data, Mapping) and part in data:
        return (data[part],)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return (data[part],)
    return None


def _add(part: _Part, path: KeyPath, errors: list[ErrorDetails]) -> None:
    """The problem at a path inside the part; `errors` are all that pydantic says of it."""
    first, problems = errors[0], part.problems
    where = (*part.at, *path)
    if first["type"] == "extra_forbidden":
        _unknown_key(part, path)
    elif first["type"] == "missing":
        place = _name(where[:-1], part.owner)
        message, hint = f"{place} lacks the required key `{path[-1]}`", addition(spot(part.model, path))
        problems.add(Code.MISSING_KEY, where[:-1], message, hint=hint, key=True)
    elif part.model is Spec and path == ("customspec",):
        message = f"`customspec` must be 1, found {described(first['input'])}"
        problems.add(Code.FORMAT_VERSION, where, message, hint="it numbers the spec's format: write `customspec: 1`")
    elif first["type"] in {"value_error", "assertion_error"}:
        _refused(part, path, first["ctx"]["error"], first["input"])
    elif first["type"] in MAPPINGS:
        _not_a_mapping_there(part, path, first["input"])
    else:
        _wrong_value(part, path, errors)


def _refused(part: _Part, path: KeyPath, fault: Exception, found: object) -> None:
    """What a model's own check says: of a mapping, at the last of its keys that the message names in backquotes."""
    keys = found if isinstance(found, Mapping) else {}
    named = [key for key in re.findall(r"`(\w+)", str(fault)) if key in keys][-1:]
    hint = hint_of(fault) or described_as(spot(part.model, (*path, *named))) or _look_up(part.owner)
    where = (*part.at, *path, *named)
    part.problems.add(Code.WRONG_VALUE, where, str(fault), hint=hint, key=isinstance(found, Mapping))


def _look_up(owner: str) -> str | None:
    """Where a plugin's options are described: `owner` is such as "technique `lora`"."""
    kind, _, name = owner.partition(" ")
    return f"`customspec {kind}s {name[1:-1]}` describes its options" if name.startswith("`") else None


def _not_a_mapping_there(part: _Part, path: KeyPath, found: object) -> None:
    where = (*part.at, *path)
    what = _name(where, part.owner)
    if _model_at(part.model, path) is TechniqueEntry and found is not None:
        hint = "write a technique's name, or its name with its options: {lora: {r: 8}}"
        part.problems.add(Code.WRONG_TYPE, where, f"{what} must name a technique; found {described(found)}", hint=hint)
        return
    place = spot(part.model, path)
    if _model_at(part.model, path) is MetricEntry and found is not None:
        hint = "write a metric's name, or its name with its options: {rouge1: {use_stemmer: true}}"
        part.problems.add(Code.WRONG_TYPE, where, f"{what} must name a metric; found {described(found)}", hint=hint)
        return
    not_a_mapping(what, found, fields_of(part.model, path), where, part.problems, key=str(path[-1]), place=place)


def not_a_mapping(
    what: str,
    found: object,
    keys: Sequence[str],
    at: KeyPath,
    problems: Problems,
    *,
    key: str | None = None,
    place: Spot = NOWHERE,
) -> None:
    """A mapping should stand there, and something else does; `key`: whose value it is, where that tells its meaning."""
    if found is None:
        problems.add(Code.WRONG_TYPE, at, f"{what} is empty", hint=filling(place), key=True)
        return
    meant = None if key is None else as_mapping(key, found, keys)
    hint = f"write {{key: value}}; keys: {', '.join(sorted(keys))}" if keys else "write {key: value}"
    hint = f"write {meant}" if meant else hint
    problems.add(Code.WRONG_TYPE, at, f"{what} must be a mapping; found {described(found)}", hint=hint)


def _wrong_value(part: _Part, path: KeyPath, errors: list[ErrorDetails]) -> None:
    first, where, place = errors[0], (*part.at, *path), spot(part.model, path)
    name, problems = _name(where, "the spec"), part.problems
    code = Code.WRONG_TYPE if first["type"] in WANTED_KINDS or first["type"].endswith("_type") else Code.WRONG_VALUE
    if first["input"] is None:
        problems.add(code, where, f"{name} is empty", hint=filling(place), key=True)
        return
    wanted = " or ".join(dict.fromkeys(expectation(error) for error in errors))
    hint = suggestion(errors, place)
    if where[-1:] == ("choices",) and isinstance(first["input"], str):
        hint = remedy(first) or "list every answer: [first, second]"  # one alone is nothing to choose
    problems.add(code, where, f"{name} must be {wanted}; found {described(first['input'])}", hint=hint)


def _unknown_key(part: _Part, path: KeyPath) -> None:
    model, at, owner, problems = part.model, part.at, part.owner, part.problems
    *parent, key = path
    nearest = meant_by(model, path)
    rename = certain_rename(problems.document, (*at, *parent), str(key), fields_of(model, tuple(parent)))
    beside = problems.document.value((*at, *parent))
    hint = did_you_mean(nearest, _elsewhere(model, str(key), tuple(parent), owner))
    if nearest is not None and isinstance(beside, Mapping) and nearest in beside:
        hint = _twice(str(key), nearest, fields_of(model, tuple(parent)), beside)
    place = _name((*at, *parent), owner) if parent else owner
    problems.add(Code.UNKNOWN_KEY, (*at, *path), f"unknown key `{key}` in {place}", hint=hint, key=True, rename=rename)


def _twice(key: str, meant: str, known: Sequence[str], beside: Mapping[str, object]) -> str:
    """What to do with a key that means one that stands there as well."""
    if certain(key, known) == meant:
        return f"`{key}` means `{meant}`, which is given already: remove `{key}`"
    free = ", ".join(name for name in sorted(known) if name not in beside)
    remove = f"if it means `{meant}`, which is given already, remove it"
    return f"{remove}; what else may stand here: {free}" if free else remove


def meant_by(model: type[BaseModel], path: KeyPath) -> str | None:
    """The key that an unknown one at the path was probably meant to be."""
    *parent, key = path
    return None if str(key) in NO_KEYS else closest(str(key), sorted(fields_of(model, tuple(parent))))


def _elsewhere(model: type[BaseModel], key: str, parent: KeyPath, owner: str) -> str:
    """What to do with a key that is like none that may stand here."""
    fields = sorted(fields_of(model, parent))
    homes = [name for name in fields if key in fields_of(model, (*parent, name))]
    before_colon, colon, _ = key.partition(":")
    beside = closest(key, sorted(RESERVED), {}) if owner.startswith("technique ") else None
    if key in NO_KEYS:
        return NO_KEYS[key]
    if colon and before_colon in fields:
        return f"write a space behind the colon: `{before_colon}: …`"
    if f"`{key}`" in owner:
        return "options stand directly under the technique's name"
    if len(homes) == 1:
        return f"`{key}` stands under `{homes[0]}`, indented"
    if beside:
        return f"`{beside}` stands beside the technique's name, not under it"
    return f"allowed here: {', '.join(fields)}" if fields else "no key is allowed here"


def fields_of(model: type[BaseModel], path: KeyPath) -> Sequence[str]:
    """The keys allowed at a path inside a model."""
    found = _model_at(model, path)
    return () if found is None or found.model_config.get("extra") == "allow" else tuple(found.model_fields)


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    for part in path:
        if isinstance(part, str):
            nested = _nested(model.model_fields[part].annotation) if part in model.model_fields else None
            if nested is None:
                return None
            model = nested
    return model


def _nested(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested, get_args(annotation))), None)


def _name(path: KeyPath, owner: str) -> str:
    words = [part for part in path if isinstance(part, str)]
    if not words:
        return owner
    return f"`{words[-1]}`" if path[-1] == words[-1] else f"`{words[-1]}[{path[-1]}]`"
