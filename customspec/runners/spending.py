"""A candidate's costs, as its steps measured them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from customspec.decide.costs import Reading, Spending
from customspec.plan import Step


def spending_of(values: Sequence[Mapping[str, Any]], reading: Reading | None = None) -> Spending:
    """From the values of a candidate's steps, as far as they ran."""
    once = sum(step.get(f"{kind}_seconds", 0.0) for step in values for kind in ("search", "fit", "train"))
    evaluated = [step for step in values if "evaluate_seconds" in step]
    seconds = sum(step["evaluate_seconds"] for step in evaluated)
    rows = sum(step["rows"] for step in evaluated)
    return Spending(once, seconds / rows if rows else 0.0, reading)


def reading_of(step: Step, tokens: float) -> Reading | None:
    """What a request asks of the base model that an evaluation runs on; None where answers are written."""
    if step.params["generation"] is not None:
        return None
    model = next(need for need in step.needs if need.partition(":")[0] == "model")
    return Reading(f"{model} {step.params.get('quantization')}", tokens)
