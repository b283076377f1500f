"""The base model of a run, kept loaded between its steps: each gets modules of its own around the same weights."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from customspec.ml.trials import Trials

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BITS: Mapping[int, torch.dtype] = MappingProxyType({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64})
SUMMED_AT_ONCE = 2**20  # weights

_log = logging.getLogger("customspec")


class Bases:
    """One base at most is kept, and only while nothing but it holds its weights in memory a second time.

    What a step does to its modules (adapters put in, settings, hooks) is gone with them. What it does to the weights
    themselves shows: ones that it trains or replaces are given up by `settle`, ones that it overwrites fail the
    checksum before they are lent again. Either costs a load, never a wrong result.
    """

    def __init__(self) -> None:
        self._key: Hashable = None
        self._kept: PreTrainedModel | None = None
        self._sums: tuple[int, ...] = ()

    def lend(self, key: Hashable, load: Callable[[], PreTrainedModel]) -> PreTrainedModel:
        """The model that `key` stands for, as `load` gives it: loaded, or of the weights that are kept."""
        self.keep_only(key)
        if self._kept is not None and _sums(self._kept) != self._sums:
            _log.info("A step wrote into the base model's weights: it is loaded anew.")
            self.forget()
        if self._kept is None:
            loaded = load()
            if not all(type(parameter) is nn.Parameter for parameter in loaded.parameters()):
                return loaded  # quantized weights are objects with a state of their own
            Trials.of(loaded)  # there before the copies, which share what they find
            self._key, self._kept, self._sums = key, loaded, _sums(loaded)
        return _sharing_weights(self._kept)

    def keep_only(self, key: Hashable) -> None:
        """Give up what is kept, unless it is what `key` stands for."""
        if key != self._key:
            self.forget()

    def settle(self, model: nn.Module) -> None:
        """`model` was made of what was lent: the base is kept on only where the model uses, frozen, all its weights,
        so that a step's memory is what it would be without."""
        frozen = {part.data_ptr() for part in model.parameters() if not part.requires_grad}
        if self._kept is not None and any(part.data_ptr() not in frozen for part in self._kept.parameters()):
            self.forget()

    def forget(self) -> None:
        self._key, self._kept, self._sums = None, None, ()


def _sharing_weights(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the modules, each parameter a new one around the same memory; tied ones stay tied."""
    shared: dict[int, object] = {
        id(part): nn.Parameter(part.detach(), requires_grad=part.requires_grad) for part in model.parameters()
    }
    return copy.deepcopy(model, shared)


def _sums(model: nn.Module) -> tuple[int, ...]:
    """A checksum of each weight's bits: integers, so that no order of adding changes it."""
    with torch.inference_mode():
        return tuple(int(_total(part.detach())) for part in model.parameters())


def _total(weight: Tensor) -> Tensor:
    bits = weight.view(BITS[weight.element_size()]).reshape(-1)
    # torch sums a 64-bit copy: of an embedding at once that is the largest thing in an evaluation's memory
    return torch.stack([part.sum(dtype=torch.int64) for part in bits.split(SUMMED_AT_ONCE)]).sum()
