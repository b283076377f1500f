"""What tests of the training loop share: rows of answers to learn, and their loss computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from customspec.inputs.encoding import Encoded
from customspec.prompts import Example

PAD = 0
SIZES = [(3, 1), (7, 4), (1, 2), (5, 1), (12, 3), (2, 6)]  # tokens of prompt and answer


def row(number: int, prompt: Sequence[int], answer: Sequence[int]) -> Encoded:
    return Encoded(Example(f"train:{number}", None, "", ""), tuple(prompt), tuple(answer))


def tokens(start: int, count: int) -> tuple[int, ...]:
    return tuple(3 + (start * 31 + step * 17) % 94 for step in range(count))


ROWS = [row(i + 1, tokens(i, prompt), tokens(50 + i, answer)) for i, (prompt, answer) in enumerate(SIZES)]


def losses_by_hand(model: nn.Module, rows: Sequence[Encoded]) -> list[Tensor]:
    """Each answer token's cross-entropy, row by row, without padding, from the full logits."""
    found = []
    for r in rows:
        ids = torch.tensor([[*r.prompt, *r.answer]])
        shifted = model(input_ids=ids).logits[0, :-1].float()
        start = len(r.prompt) - 1
        found.append(cross_entropy(shifted[start:], ids[0, 1 + start :], reduction="none"))
    return found


def by_hand(model: nn.Module, rows: Sequence[Encoded]) -> float:
    with torch.no_grad():
        return float(torch.cat(losses_by_hand(model, rows)).mean())
