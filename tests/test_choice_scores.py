"""Calibrated scores: the papers' formulas over plain likelihoods, and the passes that they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from customspec.inputs.encoding import Asking, Encoded, encode
from customspec.inputs.tokens import Chat
from customspec.ml.scoring import score_simply
from customspec.prompts import CONTENT_FREE, Example, Row, messages
from customspec.runners.answers import choose
from customspec.runners.choice_scores import calibrated_scores, shares
from customspec.sandbox.templates import prompt_template
from customspec.spec import Calibration
from support import make_model

CHOICES = ["warm", "cold", "neither of the two"]
TEMPLATE = prompt_template("The colour: {{ text }} ({{ n }})", "{{ label }}", "Warm or cold?")
SHOTS = [
    Example(f"train:{i}", None, text, answer) for i, (text, answer) in enumerate([("red", "warm"), ("blue", "cold")])
]
TEXTS = ["number 1 is red", "teal", "an amber light, far away"]
ROWS = [Row(f"test:{i}", {"text": text, "label": "warm", "n": 7}, f"test:{i}") for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with weights large enough that its choices differ."""
    return make_model(tmp_path_factory.mktemp("models") / "llama", initializer_range=0.2)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def chat(folder: Path) -> Chat:
    return Chat.load(folder)


def rows_of(chat: Chat, calibrate: Calibration) -> tuple[Encoded, ...]:
    stand_ins = CONTENT_FREE.get(calibrate, ())
    asking = Asking(
        lambda query: SHOTS, empty=lambda query: [TEMPLATE.without_content(query, text) for text in stand_ins]
    )
    queries = [TEMPLATE.render(row) for row in ROWS]
    return encode(queries, asking, chat, context=512, reserve=32, on_long="error").rows


def likelihoods(model: Any, chat: Chat, texts: list[str]) -> np.ndarray:
    """log p(choice | prompt): (texts, choices), one forward each; `texts` fill the template's column."""
    examples = [TEMPLATE.render(Row("q", {"text": text, "label": text, "n": 7}, ""), answered=False) for text in texts]
    prompts = [chat.prompt_ids(messages(example, SHOTS)) for example in examples]
    choices = [chat.answer_ids(choice) for choice in CHOICES]
    return np.array(score_simply(model, prompts, choices, pad=0))


def by_paper(model: Any, chat: Chat, calibrate: Calibration) -> np.ndarray:
    """The probability of each choice for each row, as each paper's code has it."""
    found = likelihoods(model, chat, TEXTS)
    if calibrate == "length":
        weights = np.exp(found / [len(chat.answer_ids(choice)) for choice in CHOICES])
    elif calibrate == "contextual":
        # Zhao et al. 2021, section 5: W = diag(p_cf)^-1 for p_cf averaged over the content-free inputs; q = W p
        free = np.exp(likelihoods(model, chat, ["N/A", "[MASK]", ""]))
        average = (free / free.sum(1, keepdims=True)).mean(0)
        weights = np.exp(found) / np.exp(found).sum(1, keepdims=True) @ np.linalg.inv(np.diag(average))
    elif calibrate == "pmi":
        weights = np.exp(found - likelihoods(model, chat, [""]))  # p(y|x) / p(y|domain)
    else:
        weights = np.exp(found)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def chosen(model: Any, rows: Sequence[Encoded], chat: Chat, calibrate: Calibration) -> list[dict[str, Any]]:
    return choose(CHOICES, model, rows, chat, calibrate=calibrate, progress=lambda _: None)[0]


@pytest.mark.parametrize("calibrate", ["none", "length", "contextual", "pmi"])
def test_probabilities_are_the_papers(model: Any, chat: Chat, calibrate: Calibration) -> None:
    records = chosen(model, rows_of(chat, calibrate), chat, calibrate)
    found = np.array([[record["probabilities"][choice] for choice in CHOICES] for record in records])
    expected = by_paper(model, chat, calibrate)
    assert found == pytest.approx(expected, rel=1e-4)
    assert [record["prediction"] for record in records] == [CHOICES[place] for place in expected.argmax(1)]
    plain = likelihoods(model, chat, TEXTS)
    assert [list(record["log_likelihoods"].values()) for record in records] == pytest.approx(plain, abs=1e-4)


def test_each_calibration_says_something_else(model: Any, chat: Chat) -> None:
    kinds: list[Calibration] = ["none", "length", "contextual", "pmi"]
    found = [by_paper(model, chat, calibrate) for calibrate in kinds]
    assert all(np.abs(a - b).max() > 1e-3 for i, a in enumerate(found) for b in found[:i])


def test_calibration_costs_a_row_and_no_second_pass(model: Any, chat: Chat) -> None:
    fed: list[tuple[int, ...]] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: fed.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    chosen(model, rows_of(chat, "none"), chat, "none")  # a model is tried once
    passes: set[int] = set()
    rows: dict[str, int] = {}
    kinds: list[Calibration] = ["none", "length", "contextual", "pmi"]
    for calibrate in kinds:
        chosen(model, rows_of(chat, calibrate), chat, calibrate)  # tries what may be shared
        fed.clear()
        chosen(model, rows_of(chat, calibrate), chat, calibrate)
        shared, batch = fed[-2:]
        assert shared[0] == 1, "what all rows begin with is run once, demonstrations included"
        assert shared[1] > len(chat.encode("".join(shot.user + shot.answer for shot in SHOTS)))
        passes.add(len(fed))
        rows[calibrate] = batch[0]
    hook.remove()
    assert len(passes) == 1
    assert rows == {"none": 3, "length": 3, "contextual": 6, "pmi": 4}


def test_where_each_query_has_demonstrations_of_its_own_they_are_fed_once_too(model: Any, chat: Chat) -> None:
    queries = [TEMPLATE.render(row) for row in ROWS]
    own = {
        query.id: [replace(shot, user=f"{shot.user} {index}" * 3) for shot in SHOTS]
        for index, query in enumerate(queries)
    }
    asking = Asking(
        lambda query: own[query.id],
        empty=lambda query: [TEMPLATE.without_content(query, text) for text in CONTENT_FREE["contextual"]],
    )
    rows = encode(queries, asking, chat, context=512, reserve=32, on_long="error").rows
    fed: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: fed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    records = chosen(model, rows, chat, "contextual")
    hook.remove()
    tree = sum(len(chat.answer_ids(choice)) - 1 for choice in CHOICES)
    empty = sum(len(chat.encode(text)) for text in CONTENT_FREE["contextual"])
    question = len(chat.encode("The colour:  (7)<|end|>\n<|assistant|>"))
    # a member costs its question and its tree, and never the demonstrations again
    most = sum(len(row.prompt) + empty + 3 * question + 4 * tree for row in rows)
    assert sum(fed[-2:]) < most
    for row, record in zip(rows, records, strict=True):
        scores = score_simply(model, [row.prompt, *row.empty], [chat.answer_ids(choice) for choice in CHOICES], pad=0)
        expected = shares(calibrated_scores("contextual", scores[0], [1, 1, 1], scores[1:]))
        assert list(record["probabilities"].values()) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("calibrate", ["contextual", "pmi"])
def test_where_the_question_says_nothing_calibrated_probabilities_are_even(calibrate: Calibration) -> None:
    scores = [-1.0, -2.5, -9.0]
    found = shares(calibrated_scores(calibrate, scores, [1, 2, 3], [scores] * 3))
    assert found == pytest.approx([1 / 3] * 3)


def test_contextual_averages_probabilities_and_not_logarithms() -> None:
    scores, empty = [math.log(0.5), math.log(0.5)], [[math.log(0.9), math.log(0.1)], [math.log(0.2), math.log(0.8)]]
    found = shares(calibrated_scores("contextual", scores, [1, 1], empty))
    assert found == pytest.approx([0.45 / (0.45 + 0.55), 0.55 / (0.45 + 0.55)], rel=1e-9)


def test_numbers_among_the_columns_stay_where_texts_are_left_out() -> None:
    example = TEMPLATE.render(ROWS[0])
    assert TEMPLATE.without_content(example, "N/A").user == "The colour: N/A (7)"
