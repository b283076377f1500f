"""The trial that shows whether choices can be scored the fast way: what it costs, and when it is made anew."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from choices import CHOICES, FED, Scores, difference
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from tiny import HEAD, TOGETHER, Make, Watch
from torch import nn
from transformers import PreTrainedModel

from customspec.ml import scoring
from customspec.ml.scoring import score_choices, why_not_shared


def test_trying_the_fast_path_costs_four_forwards_of_a_few_tokens(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    score_choices(model, TOGETHER, CHOICES, pad=0)
    tried, run = fed[:-2], fed[-2:]
    assert run == [(1, len(HEAD)), (len(TOGETHER), 12 + FED)]
    assert len(tried) == 4
    assert all(rows * width <= 2 * (3 + 2 * 3) for rows, width in tried)


def test_the_probe_allows_the_rounding_of_the_type_that_is_computed_in(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, simple = tiny_model("llama"), scoring.score_simply

    def rounded(*args: Any, **kwargs: Any) -> Scores:
        return [[score + 0.05 for score in row] for row in simple(*args, **kwargs)]

    monkeypatch.setattr(scoring, "score_simply", rounded)

    def reason() -> str | None:
        return why_not_shared(model, list(range(5, 25)), [[30, 2], [41, 42, 2]], pad=0, longest=40)

    assert "is off by" in (reason() or "")
    with torch.autocast("cpu", dtype=torch.bfloat16):  # over float32 weights, as full fine-tuning is compared
        assert reason() is None


def test_what_was_tried_is_not_tried_again(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    first = score_choices(model, TOGETHER, CHOICES, pad=0)
    tried = len(fed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)  # weights have no say
    again = score_choices(model, TOGETHER, CHOICES, pad=0)
    assert fed[tried:] == [(1, len(HEAD)), (len(TOGETHER), 12 + FED)]
    assert difference(first, again) > 0.1


def test_a_model_that_was_found_to_differ_is_not_tried_again_either(
    tiny_model: Make, watched: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "customspec")
    model = tiny_model("roberta")
    fed = watched(model)
    score_choices(model, TOGETHER, CHOICES, pad=0)
    tried = len(fed)
    score_choices(model, TOGETHER, CHOICES, pad=0)
    assert len(fed) - tried == len(TOGETHER) * len(CHOICES)
    assert [("off by" in record.message) for record in caplog.records] == [True, True]


def _with_hook(model: PreTrainedModel) -> nn.Module:
    model.get_input_embeddings().register_forward_hook(lambda *_: None)
    return model


def _eager(model: PreTrainedModel) -> nn.Module:
    model.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize(
    "change",
    [
        _with_hook,
        _eager,
        lambda model: model.bfloat16(),
        lambda model: get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")),
        lambda model: get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)),
    ],
    ids=["hook", "attention", "type", "adapter", "prompt"],
)
def test_a_model_that_became_another_is_tried_anew(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch, change: Callable[[PreTrainedModel], nn.Module]
) -> None:
    model = tiny_model("llama")
    score_choices(model, TOGETHER, CHOICES, pad=0)
    changed = change(model)
    tried: list[int] = []
    simple = scoring.score_simply

    def noting(*args: Any, **kwargs: Any) -> Scores:
        tried.append(1)
        return simple(*args, **kwargs)

    monkeypatch.setattr(scoring, "score_simply", noting)
    for _ in range(2):
        score_choices(changed, TOGETHER, CHOICES, pad=0)
        assert len(tried) == 2


def test_a_shorter_trial_does_not_answer_for_a_longer_one(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    score_choices(model, [[5]], [[9]], pad=0)
    fed = watched(model)
    score_choices(model, TOGETHER, CHOICES, pad=0)
    assert len(fed) == 4 + 2


def test_what_may_pass_is_tried_again(tiny_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model, simple, calls = tiny_model("llama"), scoring.score_simply, iter(["memory", "nan", "well"])

    def ailing(*args: Any, **kwargs: Any) -> Scores:
        state = next(calls, "well")
        if state == "memory":
            raise MemoryError
        return [[math.nan]] if state == "nan" else simple(*args, **kwargs)

    monkeypatch.setattr(scoring, "score_simply", ailing)
    reasons = [why_not_shared(model, HEAD, CHOICES, pad=0, longest=40) for _ in range(3)]
    assert "fails" in (reasons[0] or "")
    assert "off by nan" in (reasons[1] or "")
    assert reasons[2] is None
