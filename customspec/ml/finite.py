"""Scores and logits of a model whose weights hold NaN or infinity: told where they come up, never published."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import FloatTensor, LongTensor
from transformers import LogitsProcessor

from customspec.errors import StepError

_NOT_FINITE = "the model's scores are not finite: its weights hold NaN or infinity, or its numbers overflow"


def require_finite(scores: Iterable[float]) -> None:
    """Raises StepError for a score that is NaN or infinite."""
    if not all(map(math.isfinite, scores)):
        raise StepError(_NOT_FINITE)


class FiniteStart(LogitsProcessor):
    """Raises StepError where the first token's logits have no finite maximum; later ones come of the same weights, and
    each look would wait for the device."""

    def __init__(self) -> None:
        self._looked = False

    def __call__(self, input_ids: LongTensor, scores: FloatTensor) -> FloatTensor:
        if not self._looked and not bool(torch.isfinite(scores.amax(-1)).all()):
            raise StepError(_NOT_FINITE)
        self._looked = True
        return scores
