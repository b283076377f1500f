"""The log-likelihood of one reference after each prompt: what all prompts share is run once, the rest in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from customspec.estimate.passes import common_length, pass_sizes
from customspec.ml.batching import (
    KEYS_PER_TOKEN,
    accepts,
    bare,
    batches,
    check_rows,
    evaluating,
    grouped_heads,
    require_decoder,
)
from customspec.ml.finite import require_finite
from customspec.ml.scoring import score_simply, why_not_shared
from customspec.ml.shared_prefix import Prefix, learns_prompt, run_prefix

_LOGITS_PER_PASS = 2**27  # 512 MiB in float32

Tokens = Sequence[int]


def score_references(
    model: nn.Module,
    prompts: Sequence[Tokens],
    references: Sequence[Tokens],
    *,
    pad: int,
    tokens_per_batch: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """Natural log of p(reference | prompt), summed over the reference's tokens: one number a row.

    Prompts and references are token ids, row by row. `pad` is any valid id. `tokens_per_batch` bounds what one forward
    is fed, padding included. `progress` is told after each pass how many rows it scored. Log-softmax is float32, sums
    are float64.

    Raises ValueError when there are no rows, when a prompt or a reference is empty, and for an encoder-decoder;
    StepError for scores that are not finite.
    """
    _check(model, prompts, references)
    budget = tokens_per_batch or pass_sizes(bare(model).device.type).scored
    scores: list[float] = [0.0] * len(prompts)
    with evaluating(model), grouped_heads(model):
        prefix, pads = _prefix(model, prompts, references, pad)
        own = [prompt[prefix.tokens :] for prompt in prompts]
        lengths = [len(prompt) + len(reference) - 1 for prompt, reference in zip(own, references, strict=True)]

        def fits(rows: int, width: int) -> bool:
            return rows * width <= budget and rows * (prefix.length + width) <= budget * KEYS_PER_TOKEN

        for batch in batches(lengths, fits, even=not pads):
            for part in _parts(model, batch, own, lengths):
                found = _score(model, prefix, [own[i] for i in part], [references[i] for i in part], pad)
                for index, score in zip(part, found, strict=True):
                    scores[index] = score
                progress(len(part))
    require_finite(scores)
    return scores


def score_references_simply(model: nn.Module, prompts: Sequence[Tokens], references: Sequence[Tokens]) -> list[float]:
    """What score_references means, written down: one forward a row, no cache, no batch, no padding.

    Raises ValueError as score_references does.
    """
    _check(model, prompts, references)
    pairs = zip(prompts, references, strict=True)
    return [score_simply(model, [prompt], [reference], pad=0)[0][0] for prompt, reference in pairs]


def _prefix(model: nn.Module, prompts: Sequence[Tokens], references: Sequence[Tokens], pad: int) -> tuple[Prefix, bool]:
    """What is run once, and whether rows of unlike lengths may share a batch.

    They are padded on the right, where no token of theirs sees it. That needs no mask, but rotary frequencies that
    follow the longest row, and whatever else is declared an obstacle to sharing, would be others than alone.
    """
    longest = max(len(prompt) + len(reference) for prompt, reference in zip(prompts, references, strict=True))
    if why_not_shared(model, prompts[0], references, pad=pad, longest=longest) is not None:
        return Prefix(), False
    common = common_length(prompts)
    return (run_prefix(model, prompts[0][:common]) if common or learns_prompt(model) else Prefix()), True


def _parts(model: nn.Module, batch: list[int], own: Sequence[Tokens], lengths: Sequence[int]) -> Iterator[list[int]]:
    """The batch in passes whose logits fit: all rows keep as many columns as the one whose reference begins first."""
    kept = lengths[batch[0]] - min(len(own[i]) for i in batch) + 1
    vocabulary = bare(model).config.get_text_config(decoder=True).vocab_size
    size = max(1, _LOGITS_PER_PASS // (kept * vocabulary))
    return (batch[start : start + size] for start in range(0, len(batch), size))


def _score(
    model: nn.Module, prefix: Prefix, prompts: Sequence[Tokens], references: Sequence[Tokens], pad: int
) -> list[float]:
    device = bare(model).device
    fed = [[*prompt, *reference[:-1]] for prompt, reference in zip(prompts, references, strict=True)]
    width = max(map(len, fed))
    tokens = torch.tensor([row + [pad] * (width - len(row)) for row in fed], device=device)
    first = min(map(len, prompts)) - 1  # the first column that predicts a reference's token, in any row
    logits = _logits(model, prefix, tokens, width - first)  # (rows, width - first, vocabulary)
    rows, columns, targets = _targets(prompts, references)
    likelihood = -F.cross_entropy(logits[rows, columns - first].float(), targets.to(device), reduction="none")
    sums = torch.zeros(len(fed), dtype=torch.float64).index_add_(0, rows, likelihood.cpu().double())
    scores: list[float] = sums.tolist()
    return scores


def _logits(model: nn.Module, prefix: Prefix, tokens: Tensor, keep: int) -> Tensor:
    """The logits of the last `keep` columns of `tokens`, (rows, width)."""
    keeping: dict[str, Any] = {"logits_to_keep": keep} if accepts(model, "logits_to_keep") else {}
    if prefix.layers:  # a learned prompt of a PEFT wrapper is in it as well
        rows, width = tokens.shape
        places = torch.arange(width, device=tokens.device) + prefix.length
        keeping |= {
            "past_key_values": prefix.shown(),
            "attention_mask": tokens.new_ones(rows, prefix.length + width),
            "position_ids": places.expand(rows, -1),
        }
        model = bare(model)
    logits: Tensor = model(input_ids=tokens, use_cache=bool(prefix.layers), **keeping).logits
    return logits[:, -keep:]


def _targets(prompts: Sequence[Tokens], references: Sequence[Tokens]) -> tuple[Tensor, Tensor, Tensor]:
    """Of every reference's every token: its row, the column that predicts it, and the token; each (tokens,)."""
    places = [
        (row, len(prompt) - 1 + place, token)
        for row, (prompt, reference) in enumerate(zip(prompts, references, strict=True))
        for place, token in enumerate(reference)
    ]
    rows, columns, tokens = torch.tensor(places).unbind(1)
    return rows, columns, tokens


def _check(model: nn.Module, prompts: Sequence[Tokens], references: Sequence[Tokens]) -> None:
    require_decoder(model)
    check_rows("prompt", prompts)
    check_rows("reference", references)
    if len(prompts) != len(references):
        raise ValueError(f"There are {len(prompts)} prompts and {len(references)} references.")
