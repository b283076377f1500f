"""Peak memory of a training and of an evaluation, in bytes.

Weights in the compute type, or float32 where all are trained; for every trained weight a float32 gradient and AdamW's
two float32 moments (16 bytes with the weight; Rajbhandari et al. 2020, 3.1). Activations: what a layer keeps for its
backward pass, counted module by module after the code of transformers' decoders with fused attention (after
Korthikanti et al. 2023, 4.1, whose counts are for other code). Logits exist at the answer's tokens alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from customspec.estimate.loads import EvaluationLoad, Trained, TrainingLoad
from customspec.estimate.passes import LOGITS_AT_ONCE, Sharing
from customspec.estimate.predicted import BYTES
from customspec.estimate.rates import Rates
from customspec.estimate.shape import Shape
from customspec.header import Linear
from customspec.machine import Machine

MASTER = 4  # bytes; whatever trains is float32
STATE = 4 + 8  # bytes a trained weight: its gradient, and AdamW's two moments
SUMMED_AT_ONCE = 2**20  # bytes twice over, of the float32 copy of some rows of logits


def training(shape: Shape, load: TrainingLoad, trained: Trained, dtype: str, rates: Rates) -> int:
    """The model, what trains with its gradients and moments, and what the widest batch keeps."""
    size, whole = BYTES[dtype], trained.weights >= shape.parameters
    beside = MASTER * (trained.weights + trained.frozen)
    model = beside if whole else size * shape.parameters + beside
    # autocast keeps the bfloat16 copies of what trains until the pass is over
    copies = 0 if size == MASTER else size * trained.weights
    kept = rates.activations * activations(shape, load, dtype, rates.sharing)
    adapted = None if whole else trained.adapted
    kept += (1.0 if whole else rates.inputs) * inputs(shape, load, adapted, dtype, rates.sharing)
    kept += made(load, trained, dtype, rates.sharing)
    return ceil(rates.resident_bytes + model + copies + STATE * trained.weights + kept + logits(shape, load, dtype))


def activations(shape: Shape, load: TrainingLoad, dtype: str, sharing: Sharing) -> float:
    """Bytes that the widest batch keeps for the backward pass through frozen maps, all layers together."""
    size = BYTES[dtype]
    run = load.a_pass(sharing, longest=True)
    # a layer's two norms keep their inputs in float32; attention its query and output; SwiGLU both maps and the gate
    a_token = 2 * shape.hidden * 4 + size * (2 * shape.queries + (3 if shape.gated else 4) * shape.inner)
    # keys and values as wide as the queries: fused attention gets them repeated
    a_key = size * 2 * shape.queries
    attended = run.once + run.rows * run.keys
    return shape.layers * (run.tokens * a_token + attended * a_key)


def inputs(shape: Shape, load: TrainingLoad, adapted: Sequence[Linear] | None, dtype: str, sharing: Sharing) -> float:
    """Bytes that the widest batch keeps beside them for the gradients of weights: of adapters beside linear maps, or
    of the whole model for None."""
    return load.a_pass(sharing, longest=True).tokens * _inputs(shape, adapted, BYTES[dtype])


def made(load: TrainingLoad, trained: Trained, dtype: str, sharing: Sharing) -> float:
    """Bytes of what is as large as weights, made in each call of the model and kept for the backward pass; and of what
    each token keeps beside."""
    weights, run = sum(linear.inputs * linear.outputs for linear in trained.adapted), load.a_pass(sharing, longest=True)
    return BYTES[dtype] * (trained.copies * weights * run.launches + trained.kept * run.tokens)


def logits(shape: Shape, load: TrainingLoad, dtype: str) -> float:
    """At the answers' tokens: logits, their float32 copy, log-probabilities and the gradients of each; of many tokens,
    of a part of them."""
    a_place = 12 if dtype == "float32" else 16
    return min(load.batch * load.learned * shape.vocabulary, LOGITS_AT_ONCE) * a_place


def evaluation(shape: Shape, load: EvaluationLoad, trained: Trained, dtype: str, rates: Rates) -> int:
    """The model, the shared tokens' keys and values, and one batch on its way through one layer."""
    size = BYTES[dtype]
    adapter = 0 if trained.weights >= shape.parameters else MASTER * (trained.weights + trained.frozen)
    cache = size * 2 * shape.keys * shape.layers
    width = load.longest + load.tree
    rows = rows_at_once(shape, load, rates)
    layer = rows * width * size * (4 * shape.hidden + 3 * shape.inner + 2 * shape.queries)
    joined = rows * (load.shared + width) * size * 2 * (shape.keys + shape.queries)
    written = rows * load.samples * (load.shared + width + load.generated) * cache if load.generated else 0
    predicted = rows * max(load.predicted, load.samples) * shape.vocabulary * size + 2 * SUMMED_AT_ONCE
    once = load.shared * cache
    whole = size * shape.parameters + adapter + once + layer + joined + written + predicted
    return ceil(rates.resident_bytes + whole)


def rows_at_once(shape: Shape, load: EvaluationLoad, rates: Rates) -> int:
    """Rows in the largest batch of an evaluation."""
    width = load.longest + load.tree + (load.shared + load.generated if load.generated else 0)
    budget = rates.generated_tokens if load.generated else rates.scored_tokens
    fitting = min(budget // max(1, width), LOGITS_AT_ONCE // max(1, load.predicted * shape.vocabulary))
    return max(1, min(load.rows, fitting))


def usable(machine: Machine) -> int | None:
    """Bytes that a candidate may take; None where the machine's memory is not known.

    On an accelerator its context takes about a GiB, and what lies between allocations some more.
    """
    if machine.memory_bytes is None or machine.device == "cpu":
        return machine.memory_bytes
    return max(0, int(0.93 * machine.memory_bytes) - 2**30)


def _inputs(shape: Shape, adapted: Sequence[Linear] | None, size: int) -> float:
    """Bytes a token that linear maps keep because weights train on them or beside them, over all layers."""
    if adapted is None:
        # each once: before attention, its output, before the perceptron, its inside; and what the norms scale
        return size * shape.layers * (4 * shape.hidden + shape.queries + shape.inner)
    # an adapter keeps what its map reads and what comes out: measured, LoRA in float32 keeps 1.1 times that
    return size * sum(linear.inputs + linear.outputs for linear in adapted)
