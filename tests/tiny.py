"""What tests of computing share: the kinds of `tests/ml/conftest.py`'s fixtures, and token ids."""

from __future__ import annotations

import random
from collections.abc import Callable

from peft import PeftConfig, PeftModel
from torch import nn
from transformers import PreTrainedModel

Make = Callable[..., PreTrainedModel]
Tune = Callable[[PreTrainedModel, PeftConfig], PeftModel]
Watch = Callable[[nn.Module], list[tuple[int, ...]]]


def drawing() -> Callable[[int], list[int]]:
    """A function: so many token ids, none of them special; the same calls give the same ids."""
    numbers = random.Random(0)
    return lambda count: [numbers.randrange(3, 97) for _ in range(count)]
