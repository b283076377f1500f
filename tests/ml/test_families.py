"""Prompts that begin alike, some of them further than others: fed once, scored as each alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftConfig
from tiny import LORA, PREFIX, Make, Tune, Watch, drawing

from customspec.ml.choices import Trie
from customspec.ml.families import WORTH_SHARING, Laid, families
from customspec.ml.scoring import score_choices, score_shared, score_simply

_tokens = drawing()

HEAD = _tokens(5)
SHOTS = [_tokens(count) for count in (40, 36, 48)]  # each query's own demonstrations
ASKED = [[HEAD + shots + _tokens(count) for count in (9, 2, 1, 4)] for shots in SHOTS]  # it, and it without content
PROMPTS = [prompt for family in ASKED for prompt in family] + [HEAD + _tokens(12)]
CHOICES = [[5, 2], [5, 6, 2], [5, 6, 7, 2], [9], [8, 8, 2]]
FED = 3 + 2  # 5, 56, 567 and 8, 88


def difference(one: list[list[float]], other: list[list[float]]) -> float:
    return max(abs(a - b) for row, like in zip(one, other, strict=True) for a, b in zip(row, like, strict=True))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2", "gemma", "gemma2", "opt"])
@pytest.mark.parametrize("attention", [None, "eager"])
def test_members_of_families_are_scored_as_each_alone(
    tiny_model: Make, architecture: str, attention: str | None
) -> None:
    model = tiny_model(architecture, attention=attention)
    expected = score_simply(model, PROMPTS, CHOICES, pad=0)
    assert difference(score_shared(model, PROMPTS, CHOICES, pad=0), expected) < 1e-4
    assert difference(score_shared(model, PROMPTS, CHOICES, pad=0, tokens_per_batch=1), expected) < 1e-4


@pytest.mark.parametrize("config", [LORA, PREFIX], ids=lambda config: str(config.peft_type))
def test_members_of_families_are_scored_with_adapters(tiny_model: Make, tuned: Tune, config: PeftConfig) -> None:
    model = tuned(tiny_model("llama"), config)
    expected = score_simply(model, PROMPTS, CHOICES, pad=0)
    assert difference(score_choices(model, PROMPTS, CHOICES, pad=0), expected) < 1e-4


def test_what_a_family_shares_is_fed_once(tiny_model: Make, watched: Watch) -> None:
    model = tiny_model("llama")
    fed = watched(model)
    score_shared(model, PROMPTS, CHOICES, pad=0, tokens_per_batch=10**4)
    widths = 48 + 9 + 2 + 1 + 4  # the longest demonstrations, and each member's own tokens
    assert fed == [(1, len(HEAD)), (3, widths + 4 * FED), (1, 12 + FED)]


def test_progress_counts_members(tiny_model: Make) -> None:
    told: list[int] = []
    score_shared(tiny_model("llama"), PROMPTS, CHOICES, pad=0, progress=told.append, tokens_per_batch=200)
    assert sum(told) == len(PROMPTS)


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 60), st.lists(st.integers(0, 3), min_size=1, max_size=8)),
    min_size=1,
    max_size=12,
).map(lambda parts: [[kind] * length + rest for kind, length, rest in parts])


@given(rows=ROWS, most=st.integers(1, 300))
def test_every_row_is_in_one_family_and_can_be_put_together_again(rows: list[list[int]], most: int) -> None:
    found = families(rows, most=most)
    assert sorted(index for family in found for index in family.members) == list(range(len(rows)))
    assert [len(family.members) for family in found] == sorted((len(family.members) for family in found), reverse=True)
    for family in found:
        assert [[*family.shared, *own] for own in family.own] == [rows[index] for index in family.members]
        assert all(family.own)
        if len(family.members) > 1:
            assert len(family.shared) >= WORTH_SHARING
            assert len(family) <= most
        else:
            assert not family.shared


def test_a_family_that_would_lose_by_a_newcomer_is_left_as_it_is() -> None:
    close, far = [[1] * 80 + [2, n] for n in range(3)], [[1] * 40 + [3, n] for n in range(3)]
    assert sorted(tuple(sorted(family.members)) for family in families([*close, *far], most=10**4)) == [
        (0, 1, 2),
        (3, 4, 5),
    ]


def test_members_do_not_see_one_another() -> None:
    rows = [[1] * 40 + [2, 3], [1] * 40 + [4], [1] * 40 + [5, 6, 7]]
    (family,) = families(rows, most=10**4)
    laid: Any = Laid.of([family], Trie.of([[8, 9], [10, 9]]), 0)
    assert laid.tokens.tolist() == [[1] * 40 + [5, 6, 7, 8, 10] + [2, 3, 8, 10] + [4, 8, 10]]
    assert laid.positions.tolist() == [[*range(40), 40, 41, 42, 43, 43, 40, 41, 42, 42, 40, 41, 41]]
    assert laid.predicting.tolist() == [42, 43, 44, 46, 47, 48, 49, 50, 51]
    seen = {column: set(laid.order[column, 40:].nonzero().flatten().tolist()) for column in (41, 43, 44, 46, 51)}
    assert seen == {41: {0, 1}, 43: {0, 1, 2, 3}, 44: {0, 1, 2, 4}, 46: {5, 6}, 51: {9, 11}}
    assert laid.order[40:, :40].all()
