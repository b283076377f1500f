"""A small decoder whose costs can be counted by hand."""

from __future__ import annotations

import pytest

from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape


@pytest.fixture
def shape() -> Shape:
    """Two layers, hidden 8, two heads of 4 for queries and one for keys and values, perceptron 16, vocabulary 10.

    A layer: 8x8 + 8x4 + 8x4 + 8x8 + 3 x 8x16 = 576 weights; two norms of 8; one more at the end; embeddings, tied.
    """
    return Shape(
        parameters=2 * (576 + 16) + 8 + 80,
        body=1152,
        layers=2,
        hidden=8,
        vocabulary=10,
        queries=8,
        keys=4,
        inner=16,
        gated=True,
    )


@pytest.fixture
def rates() -> Rates:
    """Round numbers."""
    return Rates(
        forward=1000.0,
        forward_seconds=0.5,
        training=500.0,
        training_seconds=2.0,
        adapted=100.0,
        adapter_seconds=0.25,
        optimizer=10.0,
        resident_bytes=1_000_000,
        activations=1.0,
        inputs=1.0,
        apart=64,
        line=0,
        scored_tokens=100,
        generated_tokens=200,
    )
