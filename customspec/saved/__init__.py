"""A plan in a file: sealed by a digest of all that it says, and read strictly, since it may come from a stranger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from customspec.plan import Plan, digest
from customspec.saved.sense import doubts
from customspec.saved.shape import PlanShape

SEAL = "seal"


class NoPlanError(ValueError):
    """A file holds no plan; the message says where it does not fit."""


class EditedError(ValueError):
    """A plan is not as it was saved."""


def sealed(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON, with a digest of all of it under `seal`."""
    return with_seal(plan.to_json())


def with_seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with a digest of all that it says under `seal`."""
    return {**document, SEAL: digest(document)}


def seal_fits(seal: object, document: Mapping[str, Any]) -> bool:
    """Whether a document says what it said when it was sealed; `document` is all of it but the seal."""
    try:
        return seal == digest(document)
    except (ValueError, RecursionError):  # a number that no JSON has
        return False


def load(content: bytes, *, unsealed: bool = False) -> Plan:
    """The plan in a file that `sealed` wrote; with `unsealed` its seal may be missing, as in folders of older runs.

    Raises NoPlanError for what is no plan, EditedError for one that was changed.
    """
    document = _object(content)
    known = {name: document[name] for name in Plan.__dataclass_fields__ if name in document}
    if not {"plan", "steps"} <= known.keys():
        raise NoPlanError("it has no steps")
    if SEAL in document or not unsealed:
        _check_seal(document.get(SEAL), known)
    try:
        PlanShape.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise NoPlanError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return Plan.from_json(known)


def check_sense(plan: Plan) -> None:
    """Raises NoPlanError unless the plan's parts fit one another, as those of every compiled plan do."""
    doubt = next(doubts(plan), None)
    if doubt is not None:
        raise NoPlanError(doubt)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoPlanError("it is not JSON" if isinstance(error, ValueError) else "it is nested too deep") from error
    if not isinstance(value, dict):
        raise NoPlanError("it is not a JSON object")
    return value


def _check_seal(seal: object, known: Mapping[str, Any]) -> None:
    if not seal_fits(seal, known):
        raise EditedError("it was edited by hand: its seal is not that of what it says")
