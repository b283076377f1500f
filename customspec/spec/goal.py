"""What is good enough, and what it may cost."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from customspec.errors import UnfitError
from customspec.spec.base import MetricName, Strict


class Goal(Strict):
    """What is good enough."""

    metric: MetricName
    """Name of the metric, or the id of its entry in `metrics`."""
    at_least: float | None = None
    """Smallest value that meets the goal."""
    at_most: float | None = None
    """Largest value that meets the goal."""

    @model_validator(mode="after")
    def _one_bound(self) -> Goal:
        if (self.at_least is None) == (self.at_most is None):
            hint = (
                "add `at_least: 0.8`, or `at_most` where less is better"
                if self.at_least is None
                else "remove one of them"
            )
            raise UnfitError("a goal needs exactly one of `at_least` and `at_most`", hint)
        return self

    @property
    def threshold(self) -> float:
        return self.at_least if self.at_least is not None else self.at_most or 0.0

    def reached_by(self, value: float) -> bool:
        """Whether an estimate lies on the good side of the threshold."""
        return value >= self.threshold if self.at_least is not None else value <= self.threshold


SIZE = r"^[0-9]+([.][0-9]+)? ?([kKMGT]i?)?B$"
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def _bytes(value: object) -> object:
    """`8GiB` is 8 * 1024^3 bytes, `8 GB` is 8 * 1000^3."""
    found = re.fullmatch(r"([0-9.]+) ?([kKMGT]?)(i?)B", value) if isinstance(value, str) else None
    if not found or not re.fullmatch(SIZE, str(value)):
        if isinstance(value, str):
            message = f"a size is a number of bytes, or text such as 8GiB or 500 MB; found {value!r}"
            raise UnfitError(message, _other_size(value))
        return value
    return int(Fraction(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]])


def _other_size(text: str) -> str:
    found = re.match(r"\s*([0-9]+(?:[.][0-9]+)?)\s*([kmgt])", text, re.IGNORECASE)
    unit = found[2].upper().replace("K", "k") if found else ""
    return (
        f"write {found[1]}{unit}iB or {found[1]}{unit}B" if found else "write the number and its unit, B to TB: 500MB"
    )


Sized = BeforeValidator(_bytes, json_schema_input_type=int | Annotated[str, Field(pattern=SIZE)])


class Budget(Strict):
    """What a run, and the candidate that it chooses, may cost."""

    minutes: float | None = Field(None, gt=0)
    """Wall-clock minutes of the whole run."""
    memory: Annotated[int, Field(gt=0), Sized] | None = None
    """Peak memory of any step: bytes, or text such as `8GiB` or `8 GB`."""
    trainable_parameters: int | None = Field(None, ge=0)
    """Most parameters that a candidate trains."""
    prompt_tokens: float | None = Field(None, gt=0)
    """Most tokens of a request's prompt, demonstrations included, in the mean."""
    artifact: Annotated[int, Field(ge=0), Sized] | None = None
    """Largest size of what a training leaves: bytes, or text such as `20MB`."""

    @model_validator(mode="after")
    def _not_empty(self) -> Budget:
        if not self.model_fields_set:
            keys = ", ".join(f"`{key}`" for key in type(self).model_fields)
            raise UnfitError(f"a budget needs at least one of {keys}", "for instance: {minutes: 30, memory: 8GiB}")
        return self


class Cost(Strict):
    """What requests are expected and what a device costs: for the totals beside the quality."""

    requests_per_month: int = Field(gt=0, le=10**12)
    """Requests that the chosen candidate is to answer in a month."""
    price_per_device_hour: float = Field(gt=0, le=10**6)
    """Price of the device that a run is on, for an hour, in any currency."""
