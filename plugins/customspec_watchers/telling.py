"""What a plan and a results document say of a candidate, as flat names and values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Scalar = bool | int | float | str


def candidates_of(plan: Mapping[str, Any]) -> dict[str, str]:
    """The candidate of each step that has one."""
    return {step["id"]: step["candidate"] for step in plan["steps"] if step["candidate"] is not None}


def parameters(plan: Mapping[str, Any], key: str) -> dict[str, Scalar]:
    """A candidate's technique, seed and options (`lora.r`); what is no number and no text stands as JSON."""
    candidate = next(candidate for candidate in plan["candidates"] if candidate["key"] == key)
    found: dict[str, Scalar] = {name: candidate[name] for name in ("technique", "family", "seed")}
    params = next(step["params"] for step in plan["steps"] if step["candidate"] == key)
    for chosen in (params["technique"], params["prompting"]):
        if chosen is not None:
            found |= {f"{chosen['name']}.{option}": _scalar(value) for option, value in chosen["options"].items()}
    return found


def numbers(candidate: Mapping[str, Any]) -> dict[str, float]:
    """What a candidate of the results reached and cost: `test/accuracy`, `cost/train_seconds`; only what is known."""
    return {name: float(value) for name, value in _numbers(candidate) if value is not None}


def curve(values: Mapping[str, Any]) -> list[tuple[int, float]]:
    """The loss over the optimizer steps, of a training whose result is known."""
    return [(int(step), float(loss)) for step, loss in values.get("losses", ())]


def _numbers(candidate: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for split, metrics in candidate["metrics"].items():
        for name, measured in (metrics or {}).items():
            yield f"{split}/{name}", measured["value"]
    costs = dict(candidate["cost"])
    priced = costs.pop("price", None) or {}
    yield from ((f"cost/{name}", value) for name, value in costs.items())
    yield from ((f"cost/price/{name}", value) for name, value in priced.items())


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, Scalar) else json.dumps(value, ensure_ascii=False)
