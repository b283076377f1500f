"""Greedy generation for many prompts: what they share is run once, the rest in batches of like lengths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import BoolTensor, LongTensor, Tensor, nn
from torch.nn.functional import pad as pad_tensor
from transformers import GenerationConfig, StoppingCriteria

from customspec.ml.batching import bare, batches, check_rows, evaluating, left_padded, require_decoder, suited
from customspec.ml.scoring import why_not_shared
from customspec.ml.shared_prefix import Prefix, common_length, learns_prompt, pads_safely, run_prefix

_log = logging.getLogger("customspec")

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class Generated:
    """What a model wrote after one prompt."""

    text: str  # without the end token, cut before a stop text, without white space around it
    tokens: int  # that were generated, the end token or those of the stop text included
    finished: bool  # ended by itself, not by the limit


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    ends: Collection[int],
    decode: Decode,
    stop: Sequence[str] = (),
    pad: int,
    tokens_per_batch: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Generated]:
    """The most likely token, again and again, after each prompt (token ids) until its row ends; in the prompts' order.

    A row ends at a token of `ends`, at a text of `stop`, or after `max_new_tokens`. Sampling settings and penalties
    that the model brings along have no say. `decode` turns token ids into text. `tokens_per_batch` bounds the tokens
    of which a batch holds keys and values: shared, own, new and padding; by default what suits the device.
    `progress` is told after each batch how many prompts it finished.

    Raises ValueError for no prompts, an empty prompt, an empty stop text, a limit below 1, or an encoder-decoder.
    """
    _check(model, prompts, stop, max_new_tokens)
    budget = tokens_per_batch or suited(bare(model).device, cpu=8192, elsewhere=16384)
    endings = _Endings(frozenset(ends), tuple(stop), decode)
    settings = GenerationConfig(
        do_sample=False,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(endings.tokens) or None,
        pad_token_id=pad,
    )
    found: dict[int, Generated] = {}
    with evaluating(model), _settings(model, settings):
        prefix = _prefix(model, prompts, pad=pad, new=max_new_tokens)
        own = [prompt[prefix.tokens :] for prompt in prompts]
        fits = _limit(prefix, max_new_tokens, budget)
        for batch in batches([len(row) for row in own], fits, even=not prefix.layers and not pads_safely(model)):
            rows = _continue(model, prefix, [own[i] for i in batch], settings, endings)
            found |= zip(batch, map(endings.read, rows), strict=True)
            progress(len(batch))
    return [found[index] for index in range(len(prompts))]


@dataclass(frozen=True)
class _Endings:
    """What ends a row, and how to read one that ended."""

    tokens: frozenset[int]
    texts: tuple[str, ...]
    decode: Decode

    def stop(self, text: str) -> int | None:
        """Where in `text` its first stop text begins."""
        return min((text.find(word) for word in self.texts if word in text), default=None)

    def read(self, row: Sequence[int]) -> Generated:
        ended = next((place for place, token in enumerate(row) if token in self.tokens), None)
        text = self.decode(row[:ended])
        cut = self.stop(text)
        return Generated(
            text=text[:cut].strip(),
            tokens=len(row) if ended is None else ended + 1,
            finished=ended is not None or cut is not None,
        )


@contextmanager
def _settings(model: nn.Module, settings: GenerationConfig) -> Iterator[None]:
    # transformers fills what ours leave open from the model's, and warns about what then does not fit together
    base = bare(model)
    kept, base.generation_config = base.generation_config, settings
    try:
        yield
    finally:
        base.generation_config = kept


def _prefix(model: nn.Module, prompts: Sequence[Sequence[int]], *, pad: int, new: int) -> Prefix:
    first, common = prompts[0], common_length(prompts)
    if not common and not learns_prompt(model):
        return Prefix()
    reason = why_not_shared(model, first, [first[:3], first[-3:]], pad=pad, longest=max(map(len, prompts)) + new)
    if reason is None:
        return run_prefix(model, first[:common])
    _log.info("Running each prompt as a whole, which is slower: %s.", reason)
    return Prefix()


def _limit(prefix: Prefix, max_new_tokens: int, budget: int) -> Callable[[int, int], bool]:
    return lambda rows, width: rows * (prefix.length + width + max_new_tokens) <= budget


def _continue(
    model: nn.Module, prefix: Prefix, rows: Sequence[Sequence[int]], settings: GenerationConfig, endings: _Endings
) -> list[list[int]]:
    """The new tokens of each row: up to its stop text; a row that ended at a token goes on with padding."""
    pad = cast(int, settings.pad_token_id)
    tokens, real = left_padded(rows, pad)
    # ids stand in for what is in the cache already: they are counted, never looked at
    tokens, real = pad_tensor(tokens, (prefix.length, 0), value=pad), pad_tensor(real, (prefix.length, 0), value=True)
    stops = _Stops(endings, tokens.shape[1])
    # with a prefix, the learned prompt of a PEFT wrapper is in the cache as well
    generator: Any = bare(model) if prefix.layers else model
    written: Tensor = generator.generate(
        inputs=tokens.to(bare(model).device),
        attention_mask=real.long().to(bare(model).device),
        generation_config=settings,
        stopping_criteria=[stops] if endings.texts else [],
        **({"past_key_values": prefix.copied(len(rows))} if prefix.layers else {}),
    )
    new: list[list[int]] = written[:, stops.start :].tolist()
    return [row[: stops.lengths.get(place)] for place, row in enumerate(new)]


class _Stops(StoppingCriteria):
    """Ends a row when its new text holds a stop text, and remembers after how many new tokens it did."""

    def __init__(self, endings: _Endings, start: int) -> None:
        self.endings = endings
        self.start = start  # the column of the first new token
        self.lengths: dict[int, int] = {}  # by row
        # a token holds at least a byte; some more, as a decoder may trim what a tail begins with or skip a token
        self.tail = max((len(text.encode()) for text in endings.texts), default=0) + 8

    def __call__(self, input_ids: LongTensor, scores: Any, **kwargs: Any) -> BoolTensor:
        new = input_ids[:, self.start :]
        for row, tail in enumerate(new[:, -self.tail :].tolist()):
            if row not in self.lengths and self.endings.stop(self.endings.decode(tail)) is not None:
                self.lengths[row] = new.shape[1]
        ended = [row in self.lengths for row in range(len(new))]
        return cast(BoolTensor, torch.tensor(ended, device=input_ids.device))


def _check(model: nn.Module, prompts: Sequence[Sequence[int]], stop: Sequence[str], max_new_tokens: int) -> None:
    require_decoder(model)
    check_rows("prompt", prompts)
    if not all(stop):
        raise ValueError("A stop text is empty: it would stop every row before its first token.")
    if max_new_tokens < 1:
        raise ValueError(f"At least one token must be generated, not {max_new_tokens}.")
