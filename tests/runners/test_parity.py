"""When two answers to one row are a tie, and when a merged model is another model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from customspec.inputs.encoding import Encoded
from customspec.inputs.tokens import Chat
from customspec.ml.models import load_model
from customspec.prompts import Example
from customspec.runners.export.parity import Given, Parity, compare, tolerance_of
from customspec.testing import TinyModels


@pytest.fixture(scope="module")
def folder(models: TinyModels) -> Path:
    return models.folder("llama")


@pytest.fixture(scope="module")
def chat(folder: Path) -> Chat:
    return Chat.load(folder)


def row(number: int) -> Encoded:
    return Encoded(Example(f"validation:{number}", None, "", ""), (30, 31, 32 + number), (40, 1))


def compared(before: Given, after: Given, chat: Chat, model: nn.Module | None = None) -> Parity:
    def unmerged() -> nn.Module:
        assert model is not None, "asked only where texts part"
        return model

    rows = [row(number) for number in range(len(before.answers))]
    return compare(before, after, rows, chat, unmerged, split="validation", tolerance=tolerance_of("float32"))


def test_choices_that_were_as_likely_are_a_tie_and_others_are_not(chat: Chat) -> None:
    scores = ({"a": math.log(0.9), "b": math.log(0.1)}, {"a": -0.70, "b": -0.7001}, {"a": -0.6, "b": -0.8})
    before = Given(("a", "a", "a"), scores)
    found = compared(before, Given(("a", "b", "b"), scores), chat)
    assert (found.rows, found.same, found.ties, found.apart) == (3, 1, 1, ("validation:2",))


def test_texts_that_part_at_unlike_tokens_are_apart(folder: Path, chat: Chat) -> None:
    model = load_model(folder, torch.float32)
    logits = model(input_ids=torch.tensor([[30, 31, 32]])).logits[0, -1].tolist()
    unlikely, *_, likely = sorted("abcdefgh", key=lambda text: logits[chat.encode(text)[0]])
    found = compared(Given((likely,), None), Given((unlikely,), None), chat, model)
    assert found.apart == ("validation:0",)


def test_texts_that_part_at_equally_likely_tokens_are_a_tie(folder: Path, chat: Chat) -> None:
    model = load_model(folder, torch.float32)
    (one,), (other,) = chat.encode("x"), chat.encode("y")
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head[one] = head[other]
    found = compared(Given(("x",), None), Given(("y",), None), chat, model)
    assert (found.ties, found.apart) == (1, ())


def test_rounding_is_coarser_in_bfloat16() -> None:
    assert tolerance_of("float32") == 1e-3
    assert tolerance_of("bfloat16") == 24 * torch.finfo(torch.bfloat16).eps
