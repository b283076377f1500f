"""Compiled layers compute what the layers do, in the training's own passes alone, and only where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import LORA, PREFIX, Make, Tune
from torch import nn

from customspec.ml import compiling
from customspec.ml.compiling import LOOKED_AT, CompiledLayers, Compiling, compiles
from customspec.ml.lean_lora import lean_lora

# Dynamo looks at gradients that are not there, and torch warns of it
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")

IDS = torch.tensor([[5, 7, 11, 13, 17], [19, 23, 29, 31, 37]])


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(input_ids=IDS, use_cache=False).logits.logsumexp(-1).sum().backward()
    return {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}


@pytest.mark.parametrize("adapted", [False, True], ids=["bare", "lora"])
def test_gradients_are_those_of_the_layers(tiny_model: Make, tuned: Tune, adapted: bool) -> None:
    base = tiny_model("llama")
    model: nn.Module = tuned(base, LORA) if adapted else base
    layers = CompiledLayers(model, backend="aot_eager")
    with lean_lora(model):
        expected = gradients(model)
        layers.make()
        frames = torch._dynamo.utils.counters["stats"]
        before = frames["calls_captured"]
        with layers.used():
            found = gradients(model)
        assert frames["calls_captured"] > before  # they are compiled, and did not fall back
        before = frames["calls_captured"]
        gradients(model)
        assert frames["calls_captured"] == before  # past `used`, the layers are as they were
    assert found.keys() == expected.keys()
    for name, part in found.items():
        assert torch.allclose(part, expected[name], atol=1e-4, rtol=1e-4), name


def test_what_cannot_be_compiled_runs_as_it_is(tiny_model: Make) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler")

    model = tiny_model("llama")
    expected = gradients(model)
    layers = CompiledLayers(model, backend=broken)
    layers.make()
    with layers.used():
        found = gradients(model)
    assert all(torch.equal(part, expected[name]) for name, part in found.items())


class Ticking:
    """A clock that says how long each step takes."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.mark.parametrize(
    ("worth", "compiled_at"), [(0, 0), (179, LOOKED_AT[1]), (180, LOOKED_AT[1]), (181, None)], ids=str
)
def test_it_compiles_where_so_much_is_left(worth: float, compiled_at: int | None) -> None:
    made: list[int] = []
    state = SimpleNamespace(global_step=0, max_steps=100)
    layers: Any = SimpleNamespace(make=lambda: made.append(state.global_step))
    callback = Compiling(layers, passed=0, worth=worth, clock=Ticking(2.0))
    callback.on_train_begin(None, state, None)
    for step in range(100):
        callback.on_step_begin(None, state, None)
        state.global_step = step + 1
        callback.on_step_end(None, state, None)
    assert made == ([] if compiled_at is None else [compiled_at])


def test_only_on_a_gpu_and_only_kinds_that_were_measured(
    tiny_model: Make, tuned: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, lora, prefix = tiny_model("llama"), tuned(tiny_model("llama"), LORA), tuned(tiny_model("llama"), PREFIX)
    assert not compiles(bare)
    monkeypatch.setattr(compiling, "bare", lambda model: SimpleNamespace(
        device=torch.device("cuda"), modules=model.modules, _no_split_modules=["LlamaDecoderLayer"]))  # fmt: skip
    assert [compiles(model) for model in (bare, lora, prefix)] == [True, True, False]
