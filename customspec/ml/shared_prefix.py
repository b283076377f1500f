"""The tokens with which all prompts begin: found, run through the model once, shown to every batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import torch
from peft import PeftConfig, PeftModel, PeftType
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

from customspec.ml.batching import accepts, bare

# the prompt-learning methods whose whole effect lies in the keys and values ahead of the first token
_BEFORE_THE_PROMPT = frozenset({PeftType.PREFIX_TUNING, PeftType.PROMPT_TUNING, PeftType.P_TUNING})
_PLAIN_LAYERS = frozenset({"full_attention", "sliding_attention"})


def supports_shared_prefix(model: nn.Module, *, longest: int | None = None) -> str | None:
    """None when keys and values of a prefix can be shared and masked at will, else the reason why not, in words.

    `longest` is the number of tokens of the longest sequence; a sliding window that no sequence outgrows is no
    obstacle. Without it, any window is.
    """
    return next(_obstacles(model, longest), None)


def learns_prompt(model: nn.Module) -> TypeGuard[PeftModel]:
    """Whether a PEFT wrapper puts learned vectors before the prompt, so that the bare model lacks them."""
    if not isinstance(model, PeftModel) or not model.active_peft_config.is_prompt_learning:
        return False
    return bool(model.forward != model.base_model.forward)  # equal within PEFT's `disable_adapter`


def learns_keys(model: nn.Module) -> bool:
    """Whether what it learns are keys and values of every layer, and not vectors that run through the layers."""
    return learns_prompt(model) and model.active_peft_config.peft_type == PeftType.PREFIX_TUNING


def pads_safely(model: nn.Module) -> bool:
    """Whether a mask is enough to make padding on the left harmless."""
    # PEFT drops the positions that come with padding where a learned prompt comes first; a state may run on through it
    return not learns_prompt(model) and not getattr(bare(model), "_is_stateful", False)


@dataclass(frozen=True)
class Prefix:
    """What a model remembers of `tokens` first tokens: keys and values, each (1, heads, `length`, head size), by layer.

    `length` counts the vectors of a learned prompt, too.
    """

    layers: tuple[tuple[Tensor, Tensor], ...] = ()
    length: int = 0
    tokens: int = 0

    def shown(self) -> DynamicCache | None:
        """A cache for one forward of any number of rows; it is never written to, nor copied as a whole."""
        return _cache(_PrefixLayer(keys, values) for keys, values in self.layers) if self.layers else None

    def copied(self, rows: int) -> DynamicCache | None:
        """A cache that grows, with the prefix copied for each of so many rows."""
        cache = DynamicCache()
        for index, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index)
        return cache if self.layers else None


def run_prefix(model: nn.Module, tokens: Sequence[int]) -> Prefix:
    """`tokens` through the model, with the learned prompt of a PEFT wrapper before them; either may be missing."""
    if tokens:
        ids = torch.tensor([tokens], device=bare(model).device)
        cache = model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
    elif learns_prompt(model):
        cache = _learned(model)
    else:
        return Prefix()
    return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), cache.get_seq_length(), len(tokens))


def _learned(model: PeftModel) -> DynamicCache:
    prompt = model.get_prompt(batch_size=1)
    if learns_keys(model):
        return cast(DynamicCache, prompt)
    output = bare(model)(inputs_embeds=prompt.to(bare(model).dtype), use_cache=True, logits_to_keep=1)
    return cast(DynamicCache, output.past_key_values)


class _PrefixLayer(DynamicLayer):
    """A prefix's keys and values, kept for one row; a batch's own are joined to them for one layer's attention."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers annotates its caches in part
        self.keys, self.values = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return _joined(self.keys, key_states), _joined(self.values, value_states)


def _joined(shared: Tensor | None, own: Tensor) -> Tensor:
    assert shared is not None  # the base class allows a layer that holds nothing yet; ours never is one
    return torch.cat([shared.expand(own.shape[0], -1, -1, -1), own], dim=-2)


def _cache(layers: Iterator[_PrefixLayer]) -> DynamicCache:
    cache = DynamicCache()
    cache.layers = list(layers)
    return cache


def _obstacles(model: nn.Module, longest: int | None) -> Iterator[str]:
    base = bare(model)
    config = base.config.get_text_config(decoder=True)
    if base.config.is_encoder_decoder:
        yield "it is an encoder-decoder"
    if getattr(base, "_is_stateful", False):
        yield "it carries a state from token to token"
    if not accepts(model, "position_ids", "past_key_values", "logits_to_keep"):
        yield "its forward takes no positions, no cache, or cannot leave out logits"
    if (attention := config._attn_implementation) not in ("eager", "sdpa"):
        yield f"its attention is {attention}, which takes no mask of ours"
    if getattr(config, "alibi", False):
        yield "it places tokens by ALiBi, which ignores position ids"
    if odd := _layer_types(config) - _PLAIN_LAYERS:
        yield f"it has layers of {', '.join(sorted(odd))}"
    if isinstance(model, PeftModel) and (learns_prompt(model) or not model.active_peft_config.is_prompt_learning):
        yield from _adapter_obstacles(model.active_peft_config)
    yield from _limits(config, None if longest is None else longest + learned_length(model))


def _adapter_obstacles(adapter: PeftConfig) -> Iterator[str]:
    if adapter.is_prompt_learning and adapter.peft_type not in _BEFORE_THE_PROMPT:
        yield f"its adapter, {adapter.peft_type}, does more than stand before the prompt"
    if wakes_up(adapter):
        yield "its adapter wakes up at a token of the prompt"


def wakes_up(adapter: PeftConfig) -> bool:
    """Whether it does nothing before some tokens of its own (aLoRA)."""
    return bool(getattr(adapter, "alora_invocation_tokens", None))


def learned_length(model: nn.Module) -> int:
    """How many vectors a PEFT wrapper puts before the prompt."""
    return int(model.active_peft_config.num_virtual_tokens) if learns_prompt(model) else 0


def learned_vectors(model: nn.Module) -> int:
    """How many of them run through the layers: all, or none where they are keys and values of every layer."""
    return 0 if learns_keys(model) else learned_length(model)


def _limits(config: PreTrainedConfig, longest: int | None) -> Iterator[str]:
    window = _window(config)
    if window is not None and (longest is None or longest > window):
        yield f"its attention slides over windows of {window} tokens"
    yield from rope_limits(config, longest)


def rope_limits(config: PreTrainedConfig, longest: int | None) -> Iterator[str]:
    """Why keys of a sequence so long, or of any length, depend on what else is in the batch: nothing, or one reason."""
    trained = _changing_rope(config)
    if trained is not None and (longest is None or longest > trained):
        yield f"its rotary frequencies change beyond {trained} tokens"


def _layer_types(config: PreTrainedConfig) -> set[str]:
    return set(getattr(config, "layer_types", None) or getattr(config, "attention_layers", None) or ())  # or: GPT-Neo


def _window(config: PreTrainedConfig) -> int | None:
    types = _layer_types(config)
    window = getattr(config, "sliding_window", None)
    return int(window) if window is not None and (not types or "sliding_attention" in types) else None


def _changing_rope(config: PreTrainedConfig) -> int | None:
    # these frequencies follow the longest row of a forward: a prefix alone would get others than the whole prompt
    rope: Mapping[str, Any] = getattr(config, "rope_parameters", None) or {}
    by_layer_type = [kind for kind in rope.values() if isinstance(kind, Mapping)]
    changing = [kind for kind in by_layer_type or [rope] if kind.get("rope_type") in ("dynamic", "longrope")]
    return min((_trained_length(kind, config) for kind in changing), default=None)


def _trained_length(rope: Mapping[str, Any], config: PreTrainedConfig) -> int:
    name = "original_max_position_embeddings"
    return int(rope.get(name) or getattr(config, name, None) or config.max_position_embeddings)
