"""A training's decoder layers through torch.compile, on a CUDA GPU, where that is worth the wait."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, Final

import torch
from peft import PeftModel, PeftType
from torch import nn
from transformers import TrainerCallback

from customspec.ml.batching import bare
from customspec.ml.lean_lora import plainly

LOOKED_AT: Final = (5, 10)  # steps whose time tells what a step takes
WORTH: Final = 300.0  # seconds that are left: a fifth of them or more is saved, compiling takes up to half a minute

_log = logging.getLogger("customspec")


class CompiledLayers:
    """The decoder's layers, compiled once `make` was called, and only within `used`: the caches and masks of an
    evaluation would each be compiled anew."""

    def __init__(self, model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
        self._model, self._backend = model, backend
        self._made: list[tuple[nn.Module, Any]] = []

    def make(self) -> None:
        plainly(self._model)
        for layer in _layers(self._model):
            layer.compile(backend=self._backend)
            self._made.append((layer, layer._compiled_call_impl))
            layer._compiled_call_impl = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """What torch cannot compile runs as it is."""
        if not self._made:
            yield
            return
        for layer, made in self._made:
            layer._compiled_call_impl = made
        try:
            with torch._dynamo.config.patch(suppress_errors=True):
                yield
        finally:
            for layer, _ in self._made:
                layer._compiled_call_impl = None


class Compiling(TrainerCallback):
    """Looks at the time of some first steps, and compiles where what is left takes `worth` seconds or more; 0 compiles
    before the first step."""

    def __init__(
        self, layers: CompiledLayers, passed: int, worth: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._layers, self._passed, self._worth, self._clock = layers, passed, worth, clock
        self._began, self._seconds = 0.0, list[float]()
        self._decided = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._worth <= 0:
            self._decided = True
            self._layers.make()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began = self._clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        first, last = LOOKED_AT
        done = state.global_step - self._passed
        if self._decided or done < first:
            return
        self._seconds.append(self._clock() - self._began)
        if done < last:
            return
        self._decided = True
        left = median(self._seconds) * (state.max_steps - state.global_step)
        if left >= self._worth:
            _log.info(
                "Some %.0f s of training are left: the model's layers are compiled, which makes them fewer.", left
            )
            self._layers.make()


def compiles(model: nn.Module) -> bool:
    """Whether its layers are of the kinds for which it has been measured that compiling pays: bare, or with LoRA."""
    if bare(model).device.type != "cuda" or not _layers(model):
        return False
    return not isinstance(model, PeftModel) or model.active_peft_config.peft_type == PeftType.LORA


def _layers(model: nn.Module) -> list[nn.Module]:
    names = set(getattr(bare(model), "_no_split_modules", None) or ())  # transformers' name for what is repeated
    return [module for module in bare(model).modules() if type(module).__name__ in names]
