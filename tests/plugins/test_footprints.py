"""What a technique says that it adds to a pass, against what PyTorch counts and keeps in one."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from customspec.header import ModelHeader
from customspec.hookspecs import Footprint, Footprints, Task
from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from customspec.registry import discover
from customspec.testing import TinyModels

TASK = Task([(tuple(range(20, 60)), (30, 6))], lambda text: list(text.encode()), None, ["a", "b"], 40)
SHORT, LONG = 16, 48  # tokens
CASES: dict[str, dict[str, Any]] = {
    "lora": {"r": 4},
    "lora, some": {"r": 4, "target_modules": ["q_proj", "down_proj"]},
    "lora, dropout": {"r": 4, "lora_dropout": 0.1},
    "lora, dora": {"r": 4, "use_dora": True},
    "lora, dora, dropout": {"r": 4, "use_dora": True, "lora_dropout": 0.1},
    "lora, pissa": {"r": 4, "init_lora_weights": "pissa"},
    "adalora": {},
    "ia3": {},
    "ia3, some": {"target_modules": ["q_proj", "down_proj"]},
    "vera": {"r": 16},
    "oft": {"oft_block_size": 16},
    "oft, some": {"oft_block_size": 16, "target_modules": ["q_proj", "down_proj"]},
    "oft, one": {"oft_block_size": 16, "block_share": True},
    "boft": {},
    "boft, some": {"target_modules": ["q_proj", "down_proj"]},
    "loha": {},
    "loha, some": {"target_modules": ["q_proj", "down_proj"]},
    "lokr": {},
    "lokr, both": {"r": 2, "decompose_both": True},
    "ln_tuning": {},
}


class Adapted:
    """A technique's model on the kit's llama, and what it says of it."""

    def __init__(self, models: TinyModels, name: str) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        folder = models.folder("llama")
        technique = discover().tuning(name.split(",")[0])
        assert isinstance(technique, Footprints)
        self.header: ModelHeader = read_header(folder)[0]
        chosen = technique.options.model_validate(CASES[name])
        chosen = technique.options.model_validate({**technique.recipe(chosen, self.header, 8), **CASES[name]})
        self.base = load_model(folder, torch.float32).requires_grad_(False).train()
        self.model = technique.adapt(chosen, load_model(folder, torch.float32), TASK).train()
        for model in (self.base, self.model):  # every map gets an input that has a gradient
            embeddings(model).requires_grad_(True)
        self.says: Footprint = technique.footprint(chosen, self.header)
        self.trained = technique.trainable_parameters(chosen, self.header)
        self.weights = sum(linear.inputs * linear.outputs for linear in self.header.linears)

    def line(self, measure: Callable[[nn.Module, int], float]) -> tuple[float, float]:
        """By token, and whatever the number of tokens: how much more the model takes than its base."""
        short, long = (measure(self.model, tokens) - measure(self.base, tokens) for tokens in (SHORT, LONG))
        each = (long - short) / (LONG - SHORT)
        return each, short - SHORT * each


def embeddings(model: nn.Module) -> Tensor:
    found: Tensor = cast(Any, model).get_input_embeddings().weight
    return found


def multiplications(model: nn.Module, tokens: int) -> float:
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.arange(tokens)[None], use_cache=False)
    return float(counter.get_total_flops()) / 2


def kept(model: nn.Module, tokens: int) -> float:
    """Bytes that wait for the backward pass, the model's own left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    waiting: weakref.WeakSet[Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Kept:
        one = Kept(tensor)
        waiting.add(one)
        return one

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one.tensor):
        output = model(input_ids=torch.arange(tokens)[None], use_cache=False).logits
    storages = {one.tensor.untyped_storage().data_ptr(): one.tensor.untyped_storage().nbytes() for one in waiting}
    assert output.requires_grad
    return sum(size for place, size in storages.items() if place not in own)


class Kept:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@pytest.fixture(scope="module", params=CASES)
def adapted(models: TinyModels, request: pytest.FixtureRequest) -> Adapted:
    return Adapted(models, request.param)


def test_what_is_multiplied_beside_the_base(adapted: Adapted) -> None:
    each, fixed = adapted.line(multiplications)
    says, weights = adapted.says, adapted.weights
    met = adapted.trained if says.adapted else 0
    # what is multiplied number by number is no product of matrices: IA3's factors, DoRA's magnitudes
    assert each == pytest.approx(met if says.per_token is None else says.per_token, abs=0.04 * weights)
    # within the work of one token
    assert fixed == pytest.approx(says.per_pass, abs=weights)


def test_what_is_made_of_the_size_of_weights_is_kept(adapted: Adapted) -> None:
    said = adapted.says.copies * sum(linear.inputs * linear.outputs for linear in adapted.says.adapted)
    _, fixed = adapted.line(kept)
    small = 8 * adapted.trained + 0.06 * 4 * adapted.weights  # factors before they are scaled, permuted, multiplied
    assert 4 * said == pytest.approx(fixed, abs=small)


def test_what_each_token_keeps(adapted: Adapted) -> None:
    """LoRA keeps each input once, but what attention gives to its last map: the base keeps that."""
    shared = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
    inputs = {}
    for one in adapted.says.adapted:
        block, _, end = one.name.rpartition(".")
        if end != "o_proj":
            inputs[block, shared.get(end, end)] = one.inputs
    numbers = sum(one.inputs + one.outputs for one in adapted.says.adapted)
    each, _ = adapted.line(kept)
    assert each / 4 == pytest.approx(sum(inputs.values()) + adapted.says.kept, abs=max(320, 0.1 * numbers))


def test_what_lies_beside_the_base_and_does_not_train(adapted: Adapted) -> None:
    def floats(model: nn.Module) -> dict[int, int]:
        tensors = (*model.parameters(), *model.buffers())
        return {one.data_ptr(): one.numel() for one in tensors if one.is_floating_point() and one.dim() > 1}

    trains = sum(one.numel() for one in adapted.model.parameters() if one.requires_grad and one.dim() > 1)
    trains -= embeddings(adapted.model).numel()
    frozen = sum(floats(adapted.model).values()) - sum(floats(adapted.base).values()) - trains
    assert frozen == adapted.says.frozen


def test_only_maps_that_are_named_are_counted(models: TinyModels) -> None:
    named = {"q_proj", "down_proj"}
    for name in (name for name in CASES if name.endswith("some")):
        ends = {linear.name.rsplit(".", 1)[-1] for linear in Adapted(models, name).says.adapted}
        assert ends == named
