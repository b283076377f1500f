"""Whether rows of a batch can leave it while others are continued."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from peft import PeftModel, PeftType
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from customspec.ml.batching import accepts, bare
from customspec.ml.shared_prefix import learns_prompt, rope_limits, wakes_up

# Layers that hold keys and values by row and nothing else. Others inherit `batch_select_indices` and leave it a part of
# what they hold, so that the method says nothing.
_BY_ROW: Final = frozenset({DynamicLayer, DynamicSlidingWindowLayer})


def own_cache(model: nn.Module) -> DynamicCache:
    """The empty cache that transformers would make for the model."""
    return DynamicCache(config=bare(model).config.get_text_config(decoder=True))


def why_rows_stay(model: nn.Module, *, longest: int, shares: bool) -> str | None:
    """None when what is kept of a row can be given up while others go on, else the reason why not, in words.

    `longest` is the number of tokens of the longest sequence. `shares`: rows begin in a cache of keys and values that
    was tried on the model (`why_not_shared`).
    """
    return next(_reasons(model, longest, shares=shares), None)


def _reasons(model: nn.Module, longest: int, *, shares: bool) -> Iterator[str]:
    base = bare(model)
    if base.device.type == "mps":  # there transformers generates a token more, and takes it back
        yield "on its device it is known a token late"
    if shares:
        return
    if getattr(base, "_is_stateful", False):
        yield "it carries a state from token to token"
    if not accepts(model, "past_key_values"):
        yield "its forward takes no cache"
    if learns_prompt(model):
        yield "its learned prompt is put before whole rows alone"
    if isinstance(model, PeftModel) and wakes_up(model.active_peft_config):
        yield "its adapter wakes up at a token of the prompt"
    if isinstance(model, PeftModel) and model.active_peft_config.peft_type == PeftType.XLORA:
        yield "its adapter runs without a cache"
    yield from rope_limits(base.config.get_text_config(decoder=True), longest)
    if odd := {type(layer).__name__ for layer in own_cache(model).layers if type(layer) not in _BY_ROW}:
        yield f"its cache has layers of {', '.join(sorted(odd))}"
