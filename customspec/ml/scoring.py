"""The log-likelihood of every choice after every prompt: one pass over what all prompts share, one row a prompt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import chain, groupby

import torch
from torch import Tensor, nn
from torch.nn.functional import pad as pad_tensor
from transformers import PreTrainedModel

from customspec.estimate.passes import LOGITS_AT_ONCE, common_length, pass_sizes
from customspec.ml.batching import (
    KEYS_PER_TOKEN,
    accepts,
    bare,
    batches,
    check_rows,
    evaluating,
    grouped_heads,
    require_decoder,
    shown_mask,
    suited,
)
from customspec.ml.choices import Trie
from customspec.ml.families import Family, Laid, families
from customspec.ml.finite import require_finite
from customspec.ml.shared_prefix import (
    Prefix,
    run_prefix,
    supports_shared_prefix,
)
from customspec.ml.trials import Trials, as_it_is, computed_in

__all__ = ["score_choices", "score_shared", "score_simply", "supports_shared_prefix", "why_not_shared"]


_log = logging.getLogger("customspec")


def score_choices(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[int]],
    *,
    pad: int,
    tokens_per_batch: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """Natural log of p(choice | prompt), summed over the choice's tokens: one list a prompt, one number a choice.

    Prompts and choices are token ids; a choice ends with its end-of-turn token. `pad` is any valid id.
    `tokens_per_batch` bounds what one forward is fed, padding and choices included. `progress` is told after
    each batch how many prompts it scored. Log-softmax is float32, sums are float64.

    Raises ValueError when there are no prompts or no choices, when one of them is empty, and for an encoder-decoder;
    StepError for scores that are not finite.
    """
    _check(model, prompts, choices)
    longest = max(map(len, prompts)) + max(map(len, choices))
    reason = why_not_shared(model, prompts[0], choices, pad=pad, longest=longest)
    if reason is not None:
        _log.info("Scoring each choice on its own, which is slower: %s.", reason)
    score = score_shared if reason is None else score_simply
    scores = score(model, prompts, choices, pad=pad, tokens_per_batch=tokens_per_batch, progress=progress)
    require_finite(chain.from_iterable(scores))
    return scores


def score_simply(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[int]],
    *,
    pad: int,  # noqa: ARG001  # this one and the next are there to be called as score_choices is
    tokens_per_batch: int | None = None,  # noqa: ARG001
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """What score_choices means, written down: one forward a prompt and choice, no cache shared, no batch, no mask.

    `pad` and `tokens_per_batch` have nothing to act on. Raises ValueError as score_choices does.
    """
    _check(model, prompts, choices)
    scores = []
    with evaluating(model):
        for prompt in prompts:
            scores.append([_score_one(model, prompt, choice) for choice in choices])
            progress(1)
    return scores


def _score_one(model: nn.Module, prompt: Sequence[int], choice: Sequence[int]) -> float:
    tokens = torch.tensor([[*prompt, *choice[:-1]]], device=bare(model).device)
    keep = {"logits_to_keep": len(choice)} if accepts(model, "logits_to_keep") else {}
    logits = model(input_ids=tokens, **keep).logits[0, -len(choice) :]
    likelihood = logits.float().log_softmax(-1).cpu()
    return float(likelihood[torch.arange(len(choice)), torch.tensor(choice)].double().sum())


def score_shared(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[int]],
    *,
    pad: int,
    tokens_per_batch: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """The fast path of score_choices, unconditionally: right only where `supports_shared_prefix` finds no obstacle.

    The prompts' common prefix is fed once; what some prompts share beyond it is fed once for them. Then come, for each
    prompt, its own tokens and the tree of all choices, in which a token sees the prefix, its prompt and its ancestors.
    """
    budget = tokens_per_batch or pass_sizes(bare(model).device.type).scored
    trie = Trie.of(choices)
    with evaluating(model), grouped_heads(model):
        prefix = run_prefix(model, prompts[0][: common_length(prompts)])
        own = [prompt[prefix.tokens :] for prompt in prompts]
        scores: list[list[float]] = [[] for _ in own]
        for size, same in groupby(families(own, most=budget), key=lambda family: len(family.members)):
            group = list(same)
            for batch in batches([len(family) for family in group], _limit(model, prefix, trie, budget, size)):
                chosen = [group[i] for i in batch]
                for family, found in zip(chosen, _score_families(bare(model), prefix, trie, chosen, pad), strict=True):
                    for index, row in zip(family.members, found, strict=True):
                        scores[index] = row
                progress(size * len(batch))
    return scores


def _limit(model: nn.Module, prefix: Prefix, trie: Trie, tokens: int, members: int) -> Callable[[int, int], bool]:
    logits = members * trie.predicting * bare(model).config.get_text_config(decoder=True).vocab_size

    def fits(rows: int, width: int) -> bool:
        fed = rows * (width + members * len(trie.tokens))
        keys = fed + rows * prefix.length
        return fed <= tokens and keys <= tokens * KEYS_PER_TOKEN and rows * logits <= LOGITS_AT_ONCE

    return fits


def _score_families(
    model: PreTrainedModel, prefix: Prefix, trie: Trie, group: Sequence[Family], pad: int
) -> list[list[list[float]]]:
    """The scores of each choice for each member of each family; all of them have as many members."""
    laid = Laid.of(group, trie, pad)
    logits = model(
        input_ids=laid.tokens.to(model.device),
        attention_mask=_mask(model, prefix.length, laid.real.to(model.device), laid.order.to(model.device)),
        position_ids=(laid.positions + prefix.length).to(model.device),
        past_key_values=prefix.shown(),
        use_cache=bool(prefix.layers),
        logits_to_keep=laid.predicting.to(model.device),
    ).logits  # (rows, members * predicting, vocabulary)
    logits = logits.view(-1, trie.predicting, logits.shape[-1])
    normalizer = _logsumexp(logits)[:, trie.parents]
    edges = (logits[:, trie.parents, trie.targets].float() - normalizer).cpu().double()  # (rows * members, edges)
    scores: list[list[list[float]]] = (
        pad_tensor(edges, (0, 1))[:, trie.paths].sum(-1).view(len(group), -1, len(trie.paths)).tolist()
    )
    return scores


def _mask(model: PreTrainedModel, shared: int, real: Tensor, order: Tensor) -> Tensor:
    """Who sees whom, (rows, 1, width, shared + width), in the form that the model's attention takes."""
    # padding sees itself: a row of the softmax without any key would be not-a-number
    sees = order & real[:, None] | order.new_ones(len(order)).diag()
    return shown_mask(model, pad_tensor(sees, (shared, 0), value=True))


def _logsumexp(logits: Tensor) -> Tensor:
    # in float32 over the whole vocabulary, some rows at a time: the float32 copy is never there as a whole
    rows = max(1, suited(logits.device, cpu=2**19, elsewhere=2**26) // logits.shape[-1])
    chunks = [chunk.float().logsumexp(-1) for chunk in logits.flatten(0, 1).split(rows)]
    return torch.cat(chunks).view(logits.shape[:2])


def _check(model: nn.Module, prompts: Sequence[Sequence[int]], choices: Sequence[Sequence[int]]) -> None:
    require_decoder(model)
    check_rows("prompt", prompts)
    check_rows("choice", choices)


def why_not_shared(
    model: nn.Module, prompt: Sequence[int], choices: Sequence[Sequence[int]], *, pad: int, longest: int
) -> str | None:
    """None when prompts may share a prefix and choices a row, else the reason why not: declared, or found by trying.

    It is tried on the first tokens of `prompt` and two of `choices`, once a model as it is; `longest` is the number of
    tokens of the longest sequence that is to come.
    """
    return supports_shared_prefix(model, longest=longest) or _disagreement(model, prompt, choices, pad)


def _disagreement(model: nn.Module, prompt: Sequence[int], choices: Sequence[Sequence[int]], pad: int) -> str | None:
    # What a model declares is judged already; what its code does with masks and positions is not, and would go wrong
    # in silence. Both paths over a few tokens (two ragged prompts, the two choices that part earliest) show it, for
    # the price of a row or two: RoBERTa as a decoder counts positions from 2, unless it is told to count from 0.
    # On a 135M model rounding gave up to 12 eps a token, ignored masks or positions 50 in the median.
    prompts, few = [prompt[:8], prompt[:6]], [min(choices, key=tuple)[:4], max(choices, key=tuple)[:4]]

    def off() -> float:
        fast = score_shared(model, prompts, few, pad=pad)
        simple = [score_simply(model, [prompts[i]], [few[i]], pad=pad)[0][0] for i in (0, 1)]
        return sum(abs(fast[i][i] - simple[i]) for i in (0, 1)) / sum(map(len, few))

    tolerance = max(1e-3, 24 * torch.finfo(computed_in(bare(model))).eps)
    # fewer tokens show less: a verdict holds for trials of like form
    form = (*map(len, prompts), *map(len, few), len(Trie.of(few).tokens))
    return Trials.of(model).verdict((form, as_it_is(model)), off, tolerance)
