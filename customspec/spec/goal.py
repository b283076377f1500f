"""What is good enough, and what it may cost."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

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
            raise ValueError("a goal needs exactly one of `at_least` and `at_most`")
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
            raise ValueError(f"a size is a number of bytes, or text such as 8GiB or 500 MB; found {value!r}")
        return value
    return int(Fraction(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2]])


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
            raise ValueError(
                f"a budget needs at least one of {', '.join(f'`{key}`' for key in type(self).model_fields)}"
            )
        return self


class Cost(Strict):
    """What requests are expected and what a device costs: for the totals beside the quality."""

    requests_per_month: int = Field(gt=0, le=10**12)
    """Requests that the chosen candidate is to answer in a month."""
    price_per_device_hour: float = Field(gt=0, le=10**6)
    """Price of the device that a run is on, for an hour, in any currency."""
