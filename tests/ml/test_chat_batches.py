"""Training batches of chat rows: earlier answers are learned, also where all rows begin alike."""

from __future__ import annotations

import pytest
import torch
from tiny import Make
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from customspec.inputs.encoding import Encoded
from customspec.ml.forward import IGNORED, Forward, collate, features_of, supervised
from customspec.prompts import Example

PAD = 0
BEGINNING = tuple(3 + (7 * step) % 90 for step in range(24))


def row(number: int, *, start: int, answer: int = 3) -> Encoded:
    """A prompt of 40 tokens, the first 24 as in all rows, with an earlier answer of 5 tokens from `start` on."""
    own = tuple(3 + (number * 31 + step * 17) % 90 for step in range(16))
    prompt = BEGINNING + own
    learned = ((start, start + 5),)
    return Encoded(Example(f"train:{number}", None, "", ""), prompt, own[:answer], learned)


def loss(model: PreTrainedModel, rows: list[Encoded], forward: Forward) -> Tensor:
    batch = collate(features_of(rows, forward), PAD)
    predicting, targets = supervised(batch)
    return cross_entropy(forward.answer_logits(model, batch, predicting).float(), targets)


@pytest.mark.parametrize("start", [1, 10, 24, 30])
def test_earlier_answers_are_learned_alike_whether_the_beginning_is_shared_or_not(tiny_model: Make, start: int) -> None:
    model = tiny_model("llama")
    rows = [row(number, start=start, answer=number) for number in (2, 3, 4)]
    shared = Forward.of(model, rows, batch=64, pad=PAD)
    assert len(shared.shared) < start, "what predicts the first learned token is a row's own"
    assert shared.apart == (start > 2)
    whole, parts = loss(model, rows, Forward()), loss(model, rows, shared)
    assert parts.item() == pytest.approx(whole.item(), abs=1e-5)
    learned = sum(label != IGNORED for one in features_of(rows, shared) for label in one["labels"])
    assert learned == sum(5 + len(one.answer) for one in rows)


def test_an_answer_that_begins_a_row_is_never_shared(tiny_model: Make) -> None:
    rows = [row(number, start=0) for number in (2, 3)]
    assert Forward.of(tiny_model("llama"), rows, batch=64, pad=PAD).shared == ()
    batch = collate(features_of(rows), PAD)
    _, targets = supervised(batch)
    assert len(targets) == 2 * (4 + 3), "nothing predicts a row's first token"
    assert torch.isfinite(loss(tiny_model("llama"), rows, Forward()))
