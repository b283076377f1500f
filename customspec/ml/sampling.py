"""Drawing tokens so that a row's draws depend on its seed, prompt and number alone, not on the batch around it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

import torch
from torch import FloatTensor, Generator, LongTensor, Tensor
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from customspec.hookspecs import Sampling


class Draws(LogitsProcessor):
    """Adds Gumbel noise to log-probabilities, so that the greedy token is a draw from them (Maddison et al. 2014).

    Every row has a random generator of its own.
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        self._warp = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
        if sampling.top_p < 1:
            self._warp.append(TopPLogitsWarper(sampling.top_p))
        self._seeds = seeds
        self._generators: list[Generator] = []

    @classmethod
    def of(cls, sampling: Sampling, seed: int, prompts: Sequence[Sequence[int]]) -> Draws | None:
        """For `samples` rows a prompt, one after another; None where nothing is drawn."""
        if not sampling.temperature:
            return None
        return cls(sampling, [_seed(seed, prompt, n) for prompt in prompts for n in range(sampling.samples)])

    def only(self, places: Sequence[int]) -> None:
        """Go on for these rows alone, each with what its generator has next."""
        self._seeds = [self._seeds[place] for place in places]
        self._generators = [self._generators[place] for place in places]

    def __call__(self, input_ids: LongTensor, scores: FloatTensor) -> FloatTensor:
        """`scores`: (rows, vocabulary) logits."""
        if not self._generators:
            self._generators = [Generator(scores.device).manual_seed(seed) for seed in self._seeds]
        warped = self._warp(input_ids, scores.float())
        noise = torch.stack([_gumbel(scores.shape[-1], one) for one in self._generators])
        return cast(FloatTensor, warped + noise)


def _seed(seed: int, prompt: Sequence[int], sample: int) -> int:
    text = f"{seed} {sample} {' '.join(map(str, prompt))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1  # torch takes 63 bits


def _gumbel(size: int, generator: Generator) -> Tensor:
    exponential = torch.empty(size, device=generator.device).exponential_(generator=generator)
    return -exponential.clamp_min_(torch.finfo(exponential.dtype).tiny).log()
