"""Generation for many prompts, greedy or sampled: what they share is run once, the rest in batches of like lengths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from torch import nn
from torch.nn.functional import pad as pad_tensor
from transformers import DynamicCache, GenerationConfig

from customspec.estimate.passes import common_length, pass_sizes
from customspec.hookspecs import Sampling
from customspec.ml.batching import bare, batches, check_rows, evaluating, left_padded, require_decoder
from customspec.ml.decoding import Start, continued
from customspec.ml.endings import Decode, Endings, Generated
from customspec.ml.leaving import own_cache, why_rows_stay
from customspec.ml.sampling import Draws
from customspec.ml.scoring import why_not_shared
from customspec.ml.shared_prefix import Prefix, learns_prompt, pads_safely, run_prefix

__all__ = ["Generated", "generate", "sample"]

_log = logging.getLogger("customspec")


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

    Raises ValueError for no prompts, an empty prompt, an empty stop text, a limit below 1, or an encoder-decoder;
    StepError for logits that are not finite.
    """
    written = sample(
        model,
        prompts,
        Sampling(),
        seed=0,
        max_new_tokens=max_new_tokens,
        ends=ends,
        decode=decode,
        stop=stop,
        pad=pad,
        tokens_per_batch=tokens_per_batch,
        progress=progress,
    )
    return [one for (one,) in written]


def sample(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    seed: int,
    max_new_tokens: int,
    ends: Collection[int],
    decode: Decode,
    stop: Sequence[str] = (),
    pad: int,
    tokens_per_batch: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[tuple[Generated, ...]]:
    """`sampling.samples` texts after each prompt, tokens drawn at its temperature; otherwise as `generate`.

    The samples of a prompt share one pass over it. Equal seeds and prompts give equal draws, whatever prompts are
    beside; up to rounding, as another batch may round other logits.
    """
    _check(model, prompts, stop, max_new_tokens)
    budget = tokens_per_batch or pass_sizes(bare(model).device.type).generated
    endings = Endings(frozenset(ends), tuple(stop), decode)
    settings = GenerationConfig(
        do_sample=False,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(endings.tokens) or None,
        pad_token_id=pad,
    )
    found: dict[int, tuple[Generated, ...]] = {}
    samples = sampling.samples
    with evaluating(model), _settings(model, settings):
        prefix, shares = _prefix(model, prompts, pad=pad, new=max_new_tokens, samples=samples)
        leaving = _leaving(model, prompts, max_new_tokens, shares=shares)
        own = [prompt[prefix.tokens :] for prompt in prompts]
        fits = _limit(prefix, max_new_tokens, budget // samples)
        for batch in batches([len(row) for row in own], fits, even=not prefix.layers and not pads_safely(model)):
            start = _start(model, prefix, [own[i] for i in batch], samples, pad, shares=shares)
            if leaving and start.cache is None:
                start = replace(start, cache=own_cache(model))
            draws = Draws.of(sampling, seed, [prompts[i] for i in batch])
            rows = [endings.read(row) for row in continued(start, settings, endings, draws, leaving=leaving)]
            found |= {index: tuple(rows[n * samples : (n + 1) * samples]) for n, index in enumerate(batch)}
            progress(len(batch))
    return [found[index] for index in range(len(prompts))]


@contextmanager
def _settings(model: nn.Module, settings: GenerationConfig) -> Iterator[None]:
    # transformers fills what ours leave open from the model's, and warns about what then does not fit together
    base = bare(model)
    kept, base.generation_config = base.generation_config, settings
    try:
        yield
    finally:
        base.generation_config = kept


def _prefix(
    model: nn.Module, prompts: Sequence[Sequence[int]], *, pad: int, new: int, samples: int
) -> tuple[Prefix, bool]:
    """What all prompts begin with, run; and whether rows of this model may share what was run before them."""
    first, common = prompts[0], common_length(prompts)
    if not common and samples == 1 and not learns_prompt(model):
        return Prefix(), False
    longest = max(map(len, prompts)) + new
    reason = why_not_shared(model, first, [first[:3], first[-3:]], pad=pad, longest=longest)
    if reason is None:
        return run_prefix(model, first[:common]), True
    _log.info("Running each prompt as a whole, which is slower: %s.", reason)
    return Prefix(), False


def _leaving(model: nn.Module, prompts: Sequence[Sequence[int]], new: int, *, shares: bool) -> bool:
    """Whether rows that have ended leave their batch while others go on."""
    reason = why_rows_stay(model, longest=max(map(len, prompts)) + new, shares=shares)
    if reason is not None:
        _log.info("Rows that have ended stay in their batch to its end, which is slower: %s.", reason)
    return reason is None


def _limit(prefix: Prefix, max_new_tokens: int, budget: int) -> Callable[[int, int], bool]:
    return lambda rows, width: rows * (prefix.length + width + max_new_tokens) <= budget


def _start(
    model: nn.Module, prefix: Prefix, rows: Sequence[Sequence[int]], samples: int, pad: int, *, shares: bool
) -> Start:
    """Each row `samples` times, one after another; where rows may share, it runs once and only its end is fed again."""
    device = bare(model).device
    tokens, real = left_padded(rows, pad)
    # ids stand in for what is in the cache already: they are counted, never looked at
    tokens = pad_tensor(tokens, (prefix.length, 0), value=pad).to(device)
    real = pad_tensor(real, (prefix.length, 0), value=True).to(device)
    cache = prefix.copied(len(rows))
    if samples > 1 and shares and tokens.shape[1] - prefix.length > 1:
        cache = DynamicCache() if cache is None else cache
        positions = (real.cumsum(1) - 1).clamp(min=0)
        bare(model)(
            input_ids=tokens[:, prefix.length : -1],
            attention_mask=real[:, :-1].long(),
            position_ids=positions[:, prefix.length : -1],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    if samples > 1 and cache is not None:
        cache.batch_repeat_interleave(samples)
    # with a cache, the learned prompt of a PEFT wrapper is in it as well
    generator = model if cache is None else bare(model)
    return Start(generator, tokens.repeat_interleave(samples, 0), real.repeat_interleave(samples, 0), cache)


def _check(model: nn.Module, prompts: Sequence[Sequence[int]], stop: Sequence[str], max_new_tokens: int) -> None:
    require_decoder(model)
    check_rows("prompt", prompts)
    if not all(stop):
        raise ValueError("A stop text is empty: it would stop every row before its first token.")
    if max_new_tokens < 1:
        raise ValueError(f"At least one token must be generated, not {max_new_tokens}.")
