"""What a model's header tells without its weights: kind, sizes, the names and shapes of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

_HEADS = ("num_attention_heads", "n_head", "num_heads")


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

    @property
    def text_config(self) -> Mapping[str, Any]:
        """The decoder's own part of `config`, where a model of several parts nests it; else the whole."""
        nested: Mapping[str, Any] | None = self.config.get("text_config")
        return nested or self.config

    @property
    def heads(self) -> int:
        """Attention heads of a layer, under the names that configurations use."""
        return next((int(self.text_config[name]) for name in _HEADS if self.text_config.get(name) is not None), 1)

    @property
    def head_size(self) -> int:
        """Numbers in one head's query or key."""
        return int(self.text_config.get("head_dim") or self.hidden_size // self.heads)

    @property
    def key_width(self) -> int:
        """Numbers in the keys of one token and layer, which a grouped attention makes fewer than the queries'."""
        return int(self.text_config.get("num_key_value_heads") or self.heads) * self.head_size

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelHeader:
        shapes = {name: tuple(shape) for name, shape in data["parameters"].items()}
        linears = tuple(Linear(**linear) for linear in data["linears"])
        return cls(**{**data, "parameters": shapes, "linears": linears})
