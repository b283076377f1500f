"""Batches of like lengths."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel
from transformers.integrations import sdpa_attention

from customspec.ml.batching import batches, grouped_heads, left_padded
from customspec.ml.scoring import score_shared, score_simply

LENGTHS = [3, 9, 4, 9, 1]


def test_batches_hold_every_index_once_longest_first_within_the_budget() -> None:
    assert list(batches(LENGTHS, lambda rows, width: rows * width <= 18)) == [[1, 3], [2, 0, 4]]


def test_a_row_that_is_too_long_for_the_budget_goes_alone() -> None:
    assert list(batches(LENGTHS, lambda rows, width: rows * width <= 4)) == [[1], [3], [2], [0], [4]]


def test_even_batches_hold_rows_of_one_length() -> None:
    assert list(batches(LENGTHS, lambda rows, width: True, even=True)) == [[1, 3], [2], [0], [4]]


def test_rows_are_padded_on_the_left() -> None:
    tokens, real = left_padded([[5, 6, 7], [8]], pad=1)
    assert tokens.tolist() == [[5, 6, 7], [1, 1, 8]]
    assert real.tolist() == [[True, True, True], [False, False, True]]


@pytest.mark.parametrize("before", [None, "0"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma"])
def test_keys_and_values_of_grouped_heads_are_not_repeated_while_choices_are_scored(
    tiny_model: Callable[..., PreTrainedModel],
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
    before: str | None,
) -> None:
    model, repeated = tiny_model(architecture), []
    repeat = sdpa_attention.repeat_kv

    def counting(states: torch.Tensor, times: int) -> torch.Tensor:
        repeated.append(times)
        return repeat(states, times)

    monkeypatch.setattr(sdpa_attention, "repeat_kv", counting)
    monkeypatch.delenv("TRANSFORMERS_SDPA_FORCE_GQA", raising=False)
    if before is not None:
        monkeypatch.setenv("TRANSFORMERS_SDPA_FORCE_GQA", before)
    prompts, choices = [[5, 6, 7, 8], [5, 6, 9]], [[3, 2], [4, 5, 2]]
    found = score_shared(model, prompts, choices, pad=0)
    assert repeated == []
    assert os.environ.get("TRANSFORMERS_SDPA_FORCE_GQA") == before
    simple = score_simply(model, prompts, choices, pad=0)
    assert torch.tensor(found).sub(torch.tensor(simple)).abs().max() < 1e-5


def test_the_environment_is_as_before_after_an_error(tiny_model: Callable[..., PreTrainedModel]) -> None:
    before = dict(os.environ)
    with pytest.raises(RuntimeError), grouped_heads(tiny_model("llama")):
        raise RuntimeError
    assert dict(os.environ) == before
