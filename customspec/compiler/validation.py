"""Pass one and two of validation: data against a model, every problem at its place."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from customspec.compiler.findings import Findings
from customspec.compiler.wording import WANTED_KINDS, expectation, remedy, shown
from customspec.errors import Code
from customspec.source import KeyPath
from customspec.spec import Spec
from customspec.suggest import closest

M = TypeVar("M", bound=BaseModel)
MAPPINGS = {"model_type", "model_attributes_type", "dict_type"}


def validate(model: type[M], data: object, findings: Findings, at: KeyPath = (), owner: str = "the spec") -> M | None:
    """The validated model, or None with every problem added; `at` is where `data` stands in the document."""
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        for path, errors in _by_path(invalid.errors(include_url=False), data).items():
            _add(model, path, errors, findings, at, owner)
        return None


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


def _add(
    model: type[BaseModel], path: KeyPath, errors: list[ErrorDetails], findings: Findings, at: KeyPath, owner: str
) -> None:
    first = errors[0]
    where = (*at, *path)
    if first["type"] == "extra_forbidden":
        _unknown_key(model, path, findings, at, owner)
    elif first["type"] == "missing":
        place = _name(where[:-1], owner)
        findings.add(Code.MISSING_KEY, where[:-1], f"{place} lacks the required key `{path[-1]}`", key=True)
    elif model is Spec and path == ("customspec",):
        findings.add(Code.FORMAT_VERSION, where, f"`customspec` must be 1, found {shown(first['input'])}")
    elif first["type"] in {"value_error", "assertion_error"}:
        _refused(where, str(first["ctx"]["error"]), first["input"], findings)
    elif first["type"] in MAPPINGS:
        what = _name(where, owner)
        not_a_mapping(what, first["input"], _fields(model, path), where, findings)
    else:
        _wrong_value(where, errors, findings)


def _refused(where: KeyPath, message: str, found: object, findings: Findings) -> None:
    """What a model's own check says: of a mapping, at the last of its keys that the message names in backquotes."""
    keys = found if isinstance(found, Mapping) else {}
    named = [key for key in re.findall(r"`(\w+)", message) if key in keys]
    findings.add(Code.WRONG_VALUE, (*where, *named[-1:]), message, key=isinstance(found, Mapping))


def not_a_mapping(what: str, found: object, keys: Sequence[str], at: KeyPath, findings: Findings) -> None:
    """A mapping should stand there, and something else does."""
    if found is None:
        findings.add(Code.WRONG_TYPE, at, f"{what} is empty; give it a value or delete the line", key=True)
        return
    hint = f"write {{key: value}}; keys: {', '.join(sorted(keys))}" if keys else None
    findings.add(Code.WRONG_TYPE, at, f"{what} must be a mapping; found {shown(found)}", hint=hint)


def _wrong_value(where: KeyPath, errors: list[ErrorDetails], findings: Findings) -> None:
    first, name = errors[0], _name(where, "the spec")
    code = Code.WRONG_TYPE if first["type"] in WANTED_KINDS or first["type"].endswith("_type") else Code.WRONG_VALUE
    if first["input"] is None:
        findings.add(code, where, f"{name} is empty; give it a value or delete the line", key=True)
        return
    wanted = " or ".join(dict.fromkeys(expectation(error) for error in errors))
    hint = next(filter(None, map(remedy, errors)), None)
    findings.add(code, where, f"{name} must be {wanted}; found {shown(first['input'])}", hint=hint)


def _unknown_key(model: type[BaseModel], path: KeyPath, findings: Findings, at: KeyPath, owner: str) -> None:
    *parent, key = path
    allowed = sorted(_fields(model, tuple(parent)))
    nearest = closest(str(key), allowed)
    listed = f"allowed here: {', '.join(allowed)}" if allowed else "no key is allowed here"
    hint = f"did you mean `{nearest}`?" if nearest else listed
    place = _name((*at, *parent), owner) if parent else owner
    findings.add(Code.UNKNOWN_KEY, (*at, *path), f"unknown key `{key}` in {place}", hint=hint, key=True)


def _fields(model: type[BaseModel], path: KeyPath) -> Sequence[str]:
    """The keys allowed at a path inside a model."""
    for part in path:
        if isinstance(part, str):
            nested = _nested(model.model_fields[part].annotation) if part in model.model_fields else None
            if nested is None:
                return ()
            model = nested
    return () if model.model_config.get("extra") == "allow" else tuple(model.model_fields)


def _nested(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested, get_args(annotation))), None)


def _name(path: KeyPath, owner: str) -> str:
    words = [part for part in path if isinstance(part, str)]
    if not words:
        return owner
    return f"`{words[-1]}`" if path[-1] == words[-1] else f"`{words[-1]}[{path[-1]}]`"
