"""What every pass of a model over many prompts needs: evaluation mode, the bare model, batches of like lengths."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

KEYS_PER_TOKEN = 16  # a batch may attend to so many times its own tokens: bounds the copies of the prefix
_GROUPED = "TRANSFORMERS_SDPA_FORCE_GQA"


def bare(model: nn.Module) -> PreTrainedModel:
    """The transformers model itself, out of PEFT's wrapper; adapters inside its layers stay at work."""
    return cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)


def accepts(model: nn.Module, *names: str) -> bool:
    """Whether the bare model's forward declares parameters of all these names; undeclared ones it may just swallow."""
    return set(names) <= set(inspect.signature(bare(model).forward).parameters)


def suited(device: torch.device, *, cpu: int, elsewhere: int) -> int:
    """The size that suits the device: on a CPU what its caches hold, elsewhere what keeps an accelerator busy."""
    return cpu if device.type == "cpu" else elsewhere


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients; afterwards, also after an error, every module trains again that did before."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def grouped_heads(model: nn.Module) -> Iterator[None]:
    """On a CPU, attention under a mask takes the keys and values of grouped heads as they are.

    transformers repeats them for every head, since on a CUDA GPU only the slow kernel takes both; torch's on a CPU
    does. transformers reads the variable at each pass.
    """
    if bare(model).device.type != "cpu":
        yield
        return
    before = os.environ.get(_GROUPED)
    os.environ[_GROUPED] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_GROUPED, None)
        else:
            os.environ[_GROUPED] = before


def shown_mask(model: PreTrainedModel, sees: Tensor) -> Tensor:
    """Who sees whom (rows, queries, keys; bool), as the model's attention takes it: (rows, 1, queries, keys)."""
    mask = sees[:, None]
    if model.config.get_text_config(decoder=True)._attn_implementation == "sdpa":
        return mask
    return torch.zeros_like(mask, dtype=model.dtype).masked_fill(~mask, torch.finfo(model.dtype).min)


def require_decoder(model: nn.Module) -> None:
    """Raises ValueError for an encoder-decoder."""
    if bare(model).config.is_encoder_decoder:
        raise ValueError("An encoder-decoder does not continue a prompt: only causal decoders can be used.")


def check_rows(name: str, rows: Sequence[Sequence[int]]) -> None:
    """Raises ValueError when there are no rows of tokens, or one of them is empty; `name` is what a row is called."""
    if not rows:
        raise ValueError(f"There are no {name}s.")
    if empty := [number for number, row in enumerate(rows, 1) if not row]:
        raise ValueError(f"A {name} has no tokens: number {empty[0]}.")


def batches(lengths: Sequence[int], fits: Callable[[int, int], bool], *, even: bool = False) -> Iterator[list[int]]:
    """Indices of `lengths`, batch by batch, longest first: what does not fit the memory fails at once, not at the end.

    `fits(rows, width)` says whether so many rows of so many tokens may go together; one row alone always may.
    `even` puts only rows of one length together, so that none is padded.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        width = lengths[batch[0]] if batch else 0
        if batch and (not fits(len(batch) + 1, width) or (even and lengths[index] < width)):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids (rows, longest row), padded on the left, and which of them are real (same shape, bool)."""
    width = max(map(len, rows))
    tokens = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows])
    return tokens, torch.arange(width) >= width - lengths[:, None]
