"""What a model's header tells without its weights: kind, sizes, the names and shapes of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear module that an adapter could take: y = Wx. `transposed`: it keeps W as (inputs, outputs), as GPT-2's."""

    name: str
    inputs: int
    outputs: int
    transposed: bool = False


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """A causal decoder's header. Shapes are those of the module tree; tied weights count once."""

    architecture: str
    model_type: str
    context_length: int
    vocabulary: int
    hidden_size: int
    layers: int
    parameters: Mapping[str, tuple[int, ...]]
    linears: tuple[Linear, ...]
    config: Mapping[str, Any]
    told: Mapping[str, Any] = field(default_factory=dict)
    """What a technique's own helper process said of it; see `hookspecs.Consulting`."""

    @property
    def total_parameters(self) -> int:
        return sum(prod(shape) for shape in self.parameters.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelHeader:
        shapes = {name: tuple(shape) for name, shape in data["parameters"].items()}
        linears = tuple(Linear(**linear) for linear in data["linears"])
        return cls(**{**data, "parameters": shapes, "linears": linears})
