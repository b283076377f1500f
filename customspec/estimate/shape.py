"""The sizes of a decoder that its cost follows from."""

from __future__ import annotations

from dataclasses import dataclass

from customspec.header import ModelHeader

INNER = ("intermediate_size", "ffn_dim", "n_inner")


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
        config = header.text_config
        widening = [linear.outputs for linear in header.linears if linear.inputs == header.hidden_size]
        inner = next((config[name] for name in INNER if isinstance(config.get(name), int)), max(widening, default=1))
        return cls(
            parameters=header.total_parameters,
            body=sum(linear.inputs * linear.outputs for linear in header.linears),
            layers=header.layers,
            hidden=header.hidden_size,
            vocabulary=header.vocabulary,
            queries=header.heads * header.head_size,
            keys=header.key_width,
            inner=inner,
            gated=widening.count(inner) >= 2 * header.layers,
        )
