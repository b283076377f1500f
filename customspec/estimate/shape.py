"""The sizes of a decoder that its cost follows from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from customspec.header import ModelHeader

HEADS = ("num_attention_heads", "n_head", "num_heads")


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths are numbers per token and layer. `body` are the weights of the linear maps, the output head left out."""

    parameters: int
    body: int
    layers: int
    hidden: int
    vocabulary: int
    queries: int
    keys: int
    inner: int
    """Between the two halves of a layer's perceptron."""
    gated: bool
    """Whether the perceptron multiplies two maps of its input (SwiGLU)."""

    @property
    def head(self) -> int:
        """Weights of the output head, its own or the embeddings'."""
        return self.hidden * self.vocabulary

    @classmethod
    def of(cls, header: ModelHeader) -> Shape:
        config: Mapping[str, Any] = header.config.get("text_config") or header.config
        heads = int(_first(config, HEADS) or 1)
        size = int(config.get("head_dim") or header.hidden_size // heads)
        widening = [linear.outputs for linear in header.linears if linear.inputs == header.hidden_size]
        inner = int(_first(config, ("intermediate_size", "ffn_dim", "n_inner")) or max(widening, default=1))
        return cls(
            parameters=header.total_parameters,
            body=sum(linear.inputs * linear.outputs for linear in header.linears),
            layers=header.layers,
            hidden=header.hidden_size,
            vocabulary=header.vocabulary,
            queries=heads * size,
            keys=int(config.get("num_key_value_heads") or heads) * size,
            inner=inner,
            gated=widening.count(inner) >= 2 * header.layers,
        )


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)
