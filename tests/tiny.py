"""What tests of computing share: the kinds of `tests/ml/conftest.py`'s fixtures, adapters of every sort, token ids."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from peft import LoraConfig, PeftConfig, PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from torch import nn
from transformers import PreTrainedModel

Make = Callable[..., PreTrainedModel]
Tune = Callable[[PreTrainedModel, PeftConfig], PeftModel]
Watch = Callable[[nn.Module], list[tuple[int, ...]]]

LORA = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
PREFIX = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
PROMPT = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
P_TUNING = PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=8)
ADAPTERS: tuple[PeftConfig, ...] = (LORA, PREFIX, PROMPT, P_TUNING)
"""Beside the weights, keys and values before the prompt, and vectors before it, learned or made by an encoder."""


def drawing() -> Callable[[int], list[int]]:
    """A function: so many token ids, none of them special; the same calls give the same ids."""
    numbers = random.Random(0)
    return lambda count: [numbers.randrange(3, 97) for _ in range(count)]


def numbers(tokens: Sequence[int]) -> str:
    """A text that a token has a word of."""
    return " ".join(map(str, tokens))


def letters(tokens: Sequence[int]) -> str:
    """A letter a token; every fifth is a space."""
    return "".join(" " if token % 5 == 0 else chr(ord("a") + token % 26) for token in tokens)


_tokens = drawing()
HEAD = _tokens(9)
TOGETHER = [HEAD + _tokens(count) for count in (3, 7, 1, 5, 12)]
APART = [_tokens(count) for count in (3, 7, 1, 5, 12)]
"""Prompts that begin alike, with HEAD, and prompts that do not."""
