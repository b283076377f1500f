"""Operations, against counts by hand and against torch's own counter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from customspec.estimate import flops
from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.passes import Sharing
from customspec.estimate.shape import Shape
from customspec.ml.headers import read_header
from customspec.testing import TinyModels

BESIDE = Sharing(apart=64, line=0)


def test_a_forward_pass_by_hand(shape: Shape) -> None:
    # 3 tokens: 2 x 1152 for the maps, 4 x 2 layers x 8 wide x 5 keys; one goes through the head of 8 x 10
    assert flops.forward(shape, 3, 5, 1) == 3 * (2304 + 320) + 160


def test_an_evaluation_runs_the_shared_tokens_once_and_the_tree_in_every_row(shape: Shape) -> None:
    load = EvaluationLoad(rows=4, shared=6, own=2, longest=3, tree=3, predicted=4)
    once, row = flops.forward(shape, 6, 6, 1), flops.forward(shape, 5, 11, 4)
    assert flops.evaluation(shape, load, Trained(0), 3) == once + 4 * row
    # an adapter of 30 weights, and 7 multiplications a pass, whatever runs in it
    beside = 2 * 30 * (6 + 4 * 5) + 2 * 7 * 3
    assert flops.evaluation(shape, load, Trained(30, 30, per_pass=7), 3) == once + 4 * row + beside
    whole = Trained(shape.parameters, shape.parameters)  # what it multiplies are the model's own weights
    assert flops.evaluation(shape, load, whole, 3) == once + 4 * row


def test_generation_adds_a_token_at_a_time(shape: Shape) -> None:
    load = EvaluationLoad(rows=2, shared=0, own=4, longest=4, generated=6, samples=3)
    row, token = flops.forward(shape, 4, 4, 1), flops.forward(shape, 1, 7, 1)
    assert flops.evaluation(shape, load, Trained(0), 1) == 2 * (row + 3 * 6 * token)


@pytest.mark.parametrize(("batch", "tokens"), [(4, 4 * (10 + 8 + 4)), (40, 10 + 40 * (8 + 4))])
def test_what_rows_share_runs_once_a_batch_where_that_pays(shape: Shape, batch: int, tokens: float) -> None:
    load = TrainingLoad(steps=5, passes=5, batch=batch, shared=10, own=8, longest=16, learned=2)
    run = load.a_pass(BESIDE)
    assert run.tokens == tokens
    assert run.keys == 22


def test_a_small_batch_runs_as_one_line(shape: Shape) -> None:
    load = TrainingLoad(steps=5, passes=5, batch=8, shared=10, own=8, longest=16, learned=2, prefix=3)
    run = load.a_pass(Sharing(apart=64, line=82))
    assert run.tokens == 10 + 8 * 8 + 8
    assert (run.once, run.rows, run.keys) == (0, 1, 3 + run.tokens)
    assert load.a_pass(Sharing(apart=64, line=81)).rows == 8
    assert load.a_pass(Sharing(apart=64, line=200), longest=True).tokens == 10 + 8 * 16 + 8
    mixed = replace(load, others=12.5)
    assert mixed.a_pass(Sharing(apart=64, line=200), longest=True).tokens == 10 + 16 + 7 * 12.5 + 8
    assert mixed.a_pass(BESIDE, longest=True).width == 16


def test_frozen_maps_count_four_and_trained_ones_six(shape: Shape) -> None:
    load = TrainingLoad(steps=1, passes=1, batch=1, shared=0, own=1, longest=1, learned=0)
    run = load.a_pass(BESIDE)
    tokens, attention = run.tokens, 12 * shape.layers * shape.queries * run.tokens * run.keys
    frozen = 4 * 1152 * tokens + attention
    whole = Trained(shape.parameters, shape.parameters)
    assert flops.training_pass(shape, load, Trained(0), BESIDE) == frozen
    assert flops.training_pass(shape, load, Trained(30, 30), BESIDE) == frozen + 6 * 30 * tokens
    assert flops.training_pass(shape, load, Trained(30, 50, per_pass=7), BESIDE) == frozen + 6 * 50 * tokens + 4 * 7
    assert flops.training_pass(shape, load, whole, BESIDE) == 6 * 1152 * tokens + attention


def test_what_a_pass_makes_is_made_for_the_shared_tokens_too(shape: Shape) -> None:
    load = TrainingLoad(steps=1, passes=1, batch=40, shared=10, own=8, longest=16, learned=2)
    alone = flops.training_pass(shape, load, Trained(0), BESIDE)
    assert flops.training_pass(shape, load, Trained(0, per_pass=7), BESIDE) == alone + 2 * 4 * 7


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "opt"])
def test_a_forward_pass_as_torch_counts_it(models: TinyModels, architecture: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from customspec.ml.models import load_model

    folder = models.folder(architecture)
    model = load_model(folder, torch.float32)
    ids = torch.zeros(3, 20, dtype=torch.long)
    mask: Any = torch.ones(3, 20, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(input_ids=ids, attention_mask=mask, logits_to_keep=1)
    shape = Shape.of(read_header(folder)[0])
    counted = flops.forward(shape, 60, 20, 3)
    # fused attention on a CPU is not among what torch counts
    without_attention = counted - 60 * 20 * 4 * shape.layers * shape.queries
    assert counter.get_total_flops() in (counted, without_attention)
