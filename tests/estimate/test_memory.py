"""Bytes, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from customspec.estimate import memory
from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.passes import Sharing
from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape
from customspec.header import Linear

BESIDE = Sharing(apart=64, line=0)
LOAD = TrainingLoad(steps=1, passes=1, batch=2, shared=0, own=6, longest=8, learned=3)


def test_sixteen_bytes_a_trained_weight_and_the_base_in_its_type(shape: Shape, rates: Rates) -> None:
    rates = replace(rates, activations=0.0, inputs=0.0)
    logits = memory.logits(shape, LOAD, "float32")
    assert logits == 2 * 3 * 10 * 12
    fixed = 1_000_000 + logits
    assert memory.training(shape, LOAD, Trained(50), "float32", rates) == fixed + 4 * shape.parameters + 16 * 50
    # a whole model's maps keep their inputs, whatever was measured of adapters
    inputs = memory.inputs(shape, LOAD, None, "float32", BESIDE)
    whole = memory.training(shape, LOAD, Trained(shape.parameters), "float32", rates)
    assert whole == fixed + inputs + 16 * shape.parameters
    wider = 2 * 3 * 10 * 4  # the float32 copy of bfloat16 logits
    half = memory.training(shape, LOAD, Trained(50), "bfloat16", rates)
    assert half == fixed + wider + 2 * shape.parameters + 18 * 50


def test_what_layers_keep(shape: Shape) -> None:
    # 16 tokens, 8 keys a row: norms 2 x 8 x 4, query and output 2 x 8 x 4, perceptron 3 x 16 x 4; a key 2 x 8 x 4
    frozen = 2 * (16 * (64 + 64 + 192) + 16 * 64)
    assert memory.activations(shape, LOAD, "float32", BESIDE) == frozen
    assert memory.activations(shape, LOAD, "bfloat16", BESIDE) == 2 * (16 * (64 + 32 + 96) + 16 * 32)


def test_what_adapted_maps_keep(shape: Shape) -> None:
    gate, up, down = (Linear(f"0.mlp.{name}", *size) for name, size in (("g", (8, 16)), ("u", (8, 16)), ("d", (16, 8))))
    beside = 16 * 3 * (8 + 16)  # numbers: 16 tokens, three maps, what each reads and gives
    assert memory.inputs(shape, LOAD, (gate, up, down), "float32", BESIDE) == 4 * beside
    assert memory.inputs(shape, LOAD, (gate, up, down), "bfloat16", BESIDE) == 2 * beside
    assert memory.inputs(shape, LOAD, (), "bfloat16", BESIDE) == 0
    assert memory.inputs(shape, LOAD, None, "float32", BESIDE) == 16 * 4 * 2 * (4 * 8 + 8 + 16)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2)])
def test_what_a_pass_makes_in_place_of_weights_is_kept_in_each(
    shape: Shape, rates: Rates, dtype: str, size: int
) -> None:
    up = Linear("0.mlp.up", 8, 16)
    plain, anew = Trained(50, adapted=(up,)), Trained(50, adapted=(up,), copies=1.5, frozen=10)
    grown = memory.training(shape, LOAD, anew, dtype, rates) - memory.training(shape, LOAD, plain, dtype, rates)
    assert grown == size * 1.5 * 128 + 4 * 10
    apart = replace(LOAD, batch=4, shared=30)
    assert apart.a_pass(rates.sharing).launches == 2
    assert memory.made(apart, anew, dtype, rates.sharing) == 2 * size * 1.5 * 128


def test_rows_that_share_keys_keep_their_own_copies_of_them(shape: Shape) -> None:
    apart = replace(LOAD, batch=4, prefix=30)
    grown = memory.activations(shape, apart, "float32", BESIDE)
    alone = memory.activations(shape, replace(apart, prefix=0), "float32", BESIDE)
    assert grown - alone == 2 * 4 * 30 * 64


def test_an_evaluation_holds_one_batch(shape: Shape, rates: Rates) -> None:
    load = EvaluationLoad(rows=1000, shared=20, own=6, longest=8, tree=2, predicted=3)
    assert memory.rows_at_once(shape, load, rates) == 10
    assert memory.rows_at_once(shape, replace(load, rows=4), rates) == 4
    few, many = (
        memory.evaluation(shape, replace(load, rows=rows), Trained(0), "float32", rates) for rows in (10, 10_000)
    )
    assert few == many  # flat in rows
    assert memory.rows_at_once(shape, replace(load, generated=12), rates) == 200 // (10 + 20 + 12)


def test_an_adapter_stands_beside_the_model_and_a_trained_model_in_its_place(shape: Shape, rates: Rates) -> None:
    load = EvaluationLoad(rows=1, shared=0, own=6, longest=8)
    alone = memory.evaluation(shape, load, Trained(0), "float32", rates)
    assert memory.evaluation(shape, load, Trained(25), "float32", rates) == alone + 100
    assert memory.evaluation(shape, load, Trained(25, frozen=5), "bfloat16", rates) == (
        memory.evaluation(shape, load, Trained(0), "bfloat16", rates) + 120
    )
    assert memory.evaluation(shape, load, Trained(shape.parameters), "float32", rates) == alone


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_memory_grows_with_the_batch_and_the_rank(shape: Shape, rates: Rates, dtype: str) -> None:
    sizes = [memory.training(shape, replace(LOAD, batch=b), Trained(50), dtype, rates) for b in (1, 2, 4, 8)]
    assert sizes == sorted(set(sizes))
    assert memory.training(shape, LOAD, Trained(90), dtype, rates) > memory.training(
        shape, LOAD, Trained(50), dtype, rates
    )
