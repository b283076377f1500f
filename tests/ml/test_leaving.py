"""Rows that have ended leave their batch: against every prompt alone, written out as a loop, and by tokens fed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from itertools import combinations
from typing import Any

import pytest
import torch
from peft import CPTConfig, LoraConfig, PeftConfig
from tiny import ADAPTERS, LORA, Make, Tune, Watch, drawing, letters, numbers
from torch import nn

from customspec.hookspecs import Sampling
from customspec.ml.batching import bare
from customspec.ml.endings import Generated
from customspec.ml.generation import generate, sample
from customspec.ml.leaving import own_cache, why_rows_stay
from customspec.ml.sampling import Draws

_tokens = drawing()

NEW = 12
HEAD = _tokens(9)
WIDTHS = (3, 7, 2, 5, 12, 4)
TOGETHER = [HEAD + _tokens(count) for count in WIDTHS]
APART = [_tokens(count) for count in WIDTHS]
EVEN = [_tokens(6) for _ in range(5)]
GREEDY, DRAWN = Sampling(), Sampling(samples=3, temperature=0.7, top_p=0.9)
# half of the layers see the last six tokens alone
SLIDING: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 6},
    "gemma2": {"sliding_window": 6},
    "gemma3_text": {
        "sliding_window": 6,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
}
HYBRID: dict[str, dict[str, Any]] = {
    "mamba": {},
    "lfm2": {
        "num_key_value_heads": 2,
        "layer_types": ["conv", "full_attention"],
        "block_ff_dim": 48,
        "block_auto_adjust_ff_dim": False,
    },
    "falcon_h1": {
        "num_key_value_heads": 2,
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
    },
}


def alone(model: nn.Module, prompts: Sequence[list[int]], sampling: Sampling = GREEDY) -> list[list[int]]:
    """NEW tokens for every sample of every prompt: no cache, no padding, no other prompt beside, no end."""
    found: list[list[int]] = []
    for prompt in prompts:
        rows, draws = torch.tensor([prompt] * sampling.samples), Draws.of(sampling, 0, [prompt])
        with torch.inference_mode():
            for _ in range(NEW):
                logits: Any = model(input_ids=rows).logits[:, -1]
                scores = draws(rows, logits) if draws else logits  # type: ignore[arg-type]  # transformers' own names
                rows = torch.cat([rows, scores.argmax(-1, keepdim=True)], dim=1)
        found += rows[:, len(prompt) :].tolist()
    return found


def spread(free: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Two tokens at which rows end as far apart as can be."""
    tokens = sorted({token for row in free for token in row})
    return max(combinations(tokens, 2), key=lambda ends: len({length(row, ends) for row in free}))


def length(row: Sequence[int], ends: Collection[int]) -> int:
    return next((place for place, token in enumerate(row, 1) if token in ends), NEW)


def ended(row: Sequence[int], ends: Collection[int]) -> Generated:
    count = length(row, ends)
    finished = row[count - 1] in ends
    return Generated(numbers(row[: count - finished]), count, finished=finished)


def shrinking(lengths: Sequence[int]) -> list[int]:
    """How many rows each pass after the first is fed: from three quarters of a batch on, those that go on alone."""
    counts, rows = [], len(lengths)
    for step in range(1, max(lengths)):
        going = sum(count > step for count in lengths)
        rows = going if 4 * going <= 3 * rows else rows
        counts.append(rows)
    return counts


def check(model: nn.Module, prompts: Sequence[list[int]], sampling: Sampling = GREEDY) -> None:
    """Texts as each prompt's alone; fed and kept is what goes on."""
    free = alone(model, prompts, sampling)
    ends = spread(free)
    fed = passes(model)
    found = sample(
        model,
        prompts,
        sampling,
        seed=0,
        max_new_tokens=NEW,
        ends=ends,
        decode=numbers,
        pad=0,
        tokens_per_batch=10**6,
    )
    assert [one for row in found for one in row] == [ended(row, ends) for row in free]
    counts = shrinking([length(row, ends) for row in free])
    assert fed[-len(counts) :] == [(count, 1, count) for count in counts]
    assert len(set(counts)) > 1  # else nothing was tried


def passes(model: nn.Module) -> list[tuple[int, int, int]]:
    """Of each forward of the model from now on: rows, tokens of each, and of how many rows it finds keys."""
    found: list[tuple[int, int, int]] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if kwargs.get("input_ids") is not None:  # else a learned prompt
            cache = kwargs.get("past_key_values")
            keys = cache.layers[0].keys if cache is not None and cache.layers else None
            found.append((*kwargs["input_ids"].shape, 0 if keys is None else len(keys)))

    bare(model).register_forward_pre_hook(note, with_kwargs=True)
    return found


@pytest.mark.parametrize("prompts", [TOGETHER, APART], ids=["together", "apart"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "opt", "gpt_neo", "bloom"])
def test_rows_leave_and_others_go_on_as_alone(tiny_model: Make, architecture: str, prompts: list[list[int]]) -> None:
    check(tiny_model(architecture), prompts)


@pytest.mark.parametrize("prompts", [APART, EVEN], ids=["apart", "even"])
@pytest.mark.parametrize("architecture", SLIDING)
def test_rows_leave_where_attention_slides(tiny_model: Make, architecture: str, prompts: list[list[int]]) -> None:
    check(tiny_model(architecture, **SLIDING[architecture]), prompts)


@pytest.mark.parametrize("prompts", [TOGETHER, APART], ids=["together", "apart"])
@pytest.mark.parametrize("config", ADAPTERS, ids=lambda config: str(config.peft_type))
def test_rows_leave_beside_an_adapter(
    tiny_model: Make, tuned: Tune, config: PeftConfig, prompts: list[list[int]]
) -> None:
    check(tuned(tiny_model("llama"), config), prompts)


def test_rows_leave_beside_an_adapter_in_layers_that_slide(tiny_model: Make, tuned: Tune) -> None:
    check(tuned(tiny_model("mistral", **SLIDING["mistral"]), LORA), TOGETHER)


@pytest.mark.parametrize("prompts", [TOGETHER, APART], ids=["together", "apart"])
@pytest.mark.parametrize(
    ("architecture", "options"), [("llama", {}), ("bloom", {}), ("mistral", {"sliding_window": 6})]
)
def test_a_row_draws_as_before_when_others_leave(
    tiny_model: Make, architecture: str, options: dict[str, Any], prompts: list[list[int]]
) -> None:
    check(tiny_model(architecture, **options), prompts, DRAWN)


def test_rows_leave_at_stop_texts(tiny_model: Make) -> None:
    model = tiny_model("llama")
    texts = [letters(row) for row in alone(model, APART)]

    def cut(text: str, stop: Sequence[str]) -> int | None:
        return min((text.index(word) for word in stop if word in text), default=None)

    pieces = sorted({text[place : place + 2] for text in texts for place in range(NEW - 1)})
    stop = max(combinations(pieces, 2), key=lambda pair: len({cut(text, pair) for text in texts}))
    fed = passes(model)
    found = generate(model, APART, max_new_tokens=NEW, ends=(), decode=letters, stop=stop, pad=0)
    cuts = [cut(text, stop) for text in texts]
    assert found == [
        Generated(text[:place].strip(), NEW if place is None else place + 2, finished=place is not None)
        for text, place in zip(texts, cuts, strict=True)
    ]
    counts = shrinking([row.tokens for row in found])
    assert fed[-len(counts) :] == [(count, 1, count) for count in counts]
    assert len(set(counts)) > 1


def test_each_token_is_fed_in_the_rows_that_go_on(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    words = {0: "a", 1: "b", 2: "b", 3: "d", 4: "d", 5: "d", 6: "", 7: ""}  # what row N says at its last token
    lengths = dict.fromkeys(words, NEW) | {0: 2, 1: 4, 2: 4, 3: 9, 4: 9, 5: 10}
    prompts = [[10 + number, 5, 6, 7] for number in words]
    free = alone(model, prompts)

    def decode(tokens: Sequence[int]) -> str:
        number = next((n for n in words if free[n][: len(tokens)] == list(tokens)), None)
        return "" if number is None or len(tokens) < lengths[number] else words[number]

    assert len({tuple(row[:2]) for row in free}) == len(free)
    fed = watched(model)
    found = generate(model, prompts, max_new_tokens=NEW, ends=(), decode=decode, stop=["a", "b", "d" * 30, "d"], pad=0)
    assert [row.tokens for row in found] == list(lengths.values())
    # 8 rows, of which one ends after 2 tokens: too few to leave; 5 go on after 4, 3 after 9, 2 after 10
    counts = [8] * 3 + [5] * 5 + [3] * 1 + [2] * 2
    assert fed[-NEW:] == [(8, 4), *[(count, 1) for count in counts]]
    assert (sum(counts), 8 * (NEW - 1)) == (56, 88)


@pytest.mark.parametrize("architecture", HYBRID)
def test_rows_stay_where_more_than_keys_and_values_is_kept_of_them(
    tiny_model: Make, watched: Watch, caplog: pytest.LogCaptureFixture, architecture: str
) -> None:
    model = tiny_model(architecture, **HYBRID[architecture])
    free = alone(model, EVEN)
    ends = spread(free)
    fed = watched(model)
    with caplog.at_level(logging.INFO, logger="customspec"):
        found = generate(model, EVEN, max_new_tokens=NEW, ends=ends, decode=numbers, pad=0)
    assert found == [ended(row, ends) for row in free]
    assert min(shrinking([length(row, ends) for row in free])) < len(EVEN)  # some could have left
    assert {rows for rows, _ in fed} == {len(EVEN)}
    assert "Rows that have ended stay in their batch to its end, which is slower" in caplog.text


@pytest.mark.filterwarnings("ignore:Position ids are not supported")
def test_rows_stay_behind_a_learned_prompt_of_another_kind(tiny_model: Make, tuned: Tune) -> None:
    config = CPTConfig(task_type="CAUSAL_LM", cpt_token_ids=[3], cpt_mask=[1], cpt_tokens_type_mask=[1])
    model = tuned(tiny_model("llama"), config)
    free = alone(model, EVEN)
    ends = spread(free)
    assert min(shrinking([length(row, ends) for row in free])) < len(EVEN)
    found = generate(model, EVEN, max_new_tokens=NEW, ends=ends, decode=numbers, pad=0)
    assert found == [ended(row, ends) for row in free]


def test_why_rows_stay(tiny_model: Make, tuned: Tune) -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    changing = tiny_model("llama", rope_parameters=rope, max_position_embeddings=32)
    assert why_rows_stay(changing, longest=32, shares=False) is None
    assert why_rows_stay(changing, longest=33, shares=False) == "its rotary frequencies change beyond 32 tokens"
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", alora_invocation_tokens=[5])
    waking = tuned(tiny_model("llama"), config)
    assert why_rows_stay(waking, longest=9, shares=False) == "its adapter wakes up at a token of the prompt"
    hybrid = tiny_model("lfm2", **HYBRID["lfm2"])
    assert why_rows_stay(hybrid, longest=9, shares=False) == "its cache has layers of LinearAttentionLayer"


def test_a_layer_that_is_given_up_in_part_is_known_by_its_kind(tiny_model: Make) -> None:
    model = tiny_model("falcon_h1", **HYBRID["falcon_h1"])
    kinds = {type(layer) for layer in own_cache(model).layers}
    assert all(hasattr(kind, "batch_select_indices") for kind in kinds)  # which leaves its states as they are
    model._is_stateful = False
    assert str(why_rows_stay(model, longest=9, shares=False)).startswith("its cache has layers of LinearAttentionAnd")
