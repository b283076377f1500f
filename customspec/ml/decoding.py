"""A batch of rows, continued token by token; rows that have ended leave it where the model allows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList

from customspec.ml.endings import Endings, Stops
from customspec.ml.finite import FiniteStart
from customspec.ml.sampling import Draws


@dataclass(frozen=True)
class Start:
    """Rows about to be continued. In the first columns of `tokens`, ids stand in for what the cache holds already."""

    generator: Any  # whose `generate` continues them
    tokens: Tensor  # (rows, shared + width)
    real: Tensor  # same shape, bool
    cache: DynamicCache | None

    def only(self, tokens: Tensor, places: Sequence[int]) -> Start:
        """Some of the rows with what was written so far, in the same cache: it holds nothing of the others any more."""
        kept = torch.tensor(places, device=tokens.device)
        assert self.cache is not None  # rows leave no other batch
        self.cache.batch_select_indices(kept)
        real = pad_tensor(self.real, (0, tokens.shape[1] - self.real.shape[1]), value=True)
        return Start(self.generator, tokens[kept], real[kept], self.cache)


def continued(
    start: Start, settings: GenerationConfig, endings: Endings, draws: Draws | None, *, leaving: bool
) -> list[list[int]]:
    """The new tokens of each row: up to its end, or after an end token on with padding.

    With `leaving`, the cache gives up rows that have ended while others go on. What these get does not depend on it, up
    to rounding: a row's keys, values, mask, positions and random numbers are its own.
    """
    first, limit = start.tokens.shape[1], settings.max_new_tokens
    processors = LogitsProcessorList([FiniteStart(), *([draws] if draws else [])])
    written: list[list[int]] = [[] for _ in start.tokens]
    rows = list(range(len(written)))  # those in the batch
    while rows:
        stops = Stops(endings, first, leaving=leaving)
        tokens = _until(start, settings, processors, stops)
        new: list[list[int]] = tokens[:, first:].tolist()
        cut = leaving and len(new[0]) < limit
        going = [place for place in range(len(rows)) if place not in stops.lengths] if cut else []
        for place, row in enumerate(rows):
            written[row] = new[place][: stops.lengths.get(place)]
        if going:
            start = start.only(tokens, going)
            if draws:
                draws.only(going)
        rows = [rows[place] for place in going]
    return written


def _until(start: Start, settings: GenerationConfig, processors: LogitsProcessorList, stops: Stops) -> Tensor:
    """The rows with their new tokens, (rows, shared + width + new), until the batch ends."""
    settings = copy.copy(settings)
    settings.max_new_tokens -= start.tokens.shape[1] - stops.start
    looks = stops.leaving or stops.endings.texts
    written: Tensor = start.generator.generate(
        inputs=start.tokens,
        attention_mask=start.real.long(),
        generation_config=settings,
        logits_processor=processors,
        stopping_criteria=[stops] if looks else [],
        **({} if start.cache is None else {"past_key_values": start.cache}),
    )
    return written
