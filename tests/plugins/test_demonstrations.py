"""Demonstrations by nearness, by clusters and by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from customspec.prompts import Example
from customspec_prompting.few_shot import FewShot, FewShotOptions
from customspec_prompting.similarity import bm25, clusters, ranked, words

TEXTS = [
    "the card was declined at the shop",
    "my card has not arrived",
    "how do I top up my account",
    "the exchange rate was wrong",
    "where is my new card",
    "top up failed",
    "the shop charged me twice",
    "what is the exchange rate today",
]
ROWS = [Example(f"train:{i}", None, text, "x") for i, text in enumerate(TEXTS, 1)]


def query(text: str, id: str = "test:1") -> Example:
    return Example(id, None, text, "x")


def shown(options: FewShotOptions, asked: Example, rows: Sequence[Example] = ROWS, seed: int = 0) -> list[str]:
    return [shot.id for shot in FewShot().select(options, rows, seed)(asked)]


def by_hand(texts: Sequence[str], asked: str) -> list[float]:
    """BM25 as Lucene has it, written out: idf = ln(1 + (N - df + 0.5) / (df + 0.5)), k1 = 1.5, b = 0.75."""
    split = [text.split() for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for text in split:
        score = 0.0
        for word in asked.split():
            containing = sum(word in other for other in split)
            idf = math.log(1 + (len(split) - containing + 0.5) / (containing + 0.5))
            frequency = text.count(word)
            score += idf * frequency / (frequency + 1.5 * (1 - 0.75 + 0.75 * len(text) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize("asked", ["where is the card", "exchange rate", "top top up", "my shop", "nothing of it"])
def test_similarity_is_bm25(asked: str) -> None:
    assert bm25(TEXTS)(asked) == pytest.approx(by_hand(TEXTS, asked), rel=1e-5)


def test_the_nearest_rows_are_shown_and_the_nearest_stands_last() -> None:
    asked = "what was the exchange rate"
    scores = by_hand(TEXTS, asked)
    assert len(set(scores)) == len(scores) - scores.count(0) + 1, "the order must be free of ties"
    best = sorted(range(len(TEXTS)), key=lambda place: scores[place])[-3:]
    for seed in range(5):
        found = shown(FewShotOptions(shots=3, select="similar"), query(asked), seed=seed)
        assert found == [f"train:{place + 1}" for place in best]


def test_a_row_is_not_its_own_nearest() -> None:
    options = FewShotOptions(shots=2, select="similar")
    for row in ROWS:
        found = shown(options, row)
        assert row.id not in found
        assert len(found) == 2
    assert shown(options, query(TEXTS[1]))[-1] == "train:2"


def test_rows_without_a_word_in_common_come_as_the_seed_has_them() -> None:
    options = FewShotOptions(shots=4, select="similar")
    drawn = {tuple(shown(options, query("zzz"), seed=seed)) for seed in range(10)}
    assert len(drawn) > 5
    assert shown(options, query("zzz"), seed=3) == shown(options, query("zzz"), seed=3)


def test_texts_without_any_word_can_be_asked_and_shown() -> None:
    rows = [Example(f"train:{i}", None, text, "x") for i, text in enumerate(["", "?!", "..."], 1)]
    assert sorted(shown(FewShotOptions(shots=3, select="similar"), query("?"), rows)) == [
        "train:1",
        "train:2",
        "train:3",
    ]


def test_words_of_several_scripts() -> None:
    assert words("Ärger, it's 3.5% STRASSE straße") == ["ärger", "it", "s", "3", "5", "strasse", "strasse"]
    assert words("我的卡 card") == ["我", "的", "卡", "card"]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_ranking_is_from_high_to_low_and_stable(scores: list[int]) -> None:
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    assert ranked(np.array(scores, dtype=float)) == expected


def test_diverse_shows_one_of_each_kind() -> None:
    kinds = ["apples pears plums", "nails screws bolts", "lakes rivers seas"]
    texts = [f"{kind} {number}" for kind in kinds for number in range(2 + 3 * kinds.index(kind))]
    rows = [Example(f"train:{i}", None, text, "x") for i, text in enumerate(texts, 1)]
    options = FewShotOptions(shots=3, select="diverse")
    for seed in range(5):
        found = [rows[int(id.split(":")[1]) - 1].user for id in shown(options, query("q"), rows, seed)]
        kind = [next(k for k, words in enumerate(kinds) if text.split()[0] in words) for text in found]
        assert kind == [2, 1, 0], "the largest cluster comes first"


def test_diverse_gives_the_same_under_a_seed_and_to_every_query() -> None:
    options = FewShotOptions(shots=3, select="diverse")
    usual = shown(options, query("a"), seed=1)
    assert usual == shown(options, query("b"), seed=1)
    for row in ROWS:
        found = shown(options, row, seed=1)
        assert row.id not in found
        assert [id for id in usual if id != row.id] == (found if row.id not in usual else found[:-1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["a b", "c d", "e f", "a d", ""]), min_size=1, max_size=12), st.integers(1, 6))
def test_clusters_hold_every_text_once(texts: list[str], count: int) -> None:
    found = clusters(texts, count, 0, None)
    assert sorted(place for members in found for place in members) == list(range(len(texts)))
    assert [len(members) for members in found] == sorted(map(len, found), reverse=True)


def test_fixed_shows_the_named_rows_in_the_order_named() -> None:
    options = FewShotOptions(select="fixed", rows=(5, 1, 8))
    assert FewShot().shots(options) == 3
    assert shown(options, query("a")) == ["train:5", "train:1", "train:8"]
    assert shown(options, ROWS[0]) == ["train:5", "train:8"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": "fixed"}, "`rows` and `select: fixed` belong together"),
        ({"rows": [1]}, "`rows` and `select: fixed` belong together"),
        ({"select": "fixed", "rows": [1, 2, 1]}, "`rows` must be distinct"),
        ({"select": "fixed", "rows": [0]}, "greater than or equal to 1"),
        ({"embeddings": "here"}, "`embeddings` belongs to"),
    ],
)
def test_options_that_say_nothing_together_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FewShotOptions.model_validate(options)


def test_a_row_that_is_not_there_is_refused_at_its_place() -> None:
    refusal = FewShot().refusal(FewShotOptions(select="fixed", rows=(1, 9)), ROWS)
    assert refusal is not None
    assert (refusal.message, refusal.option, refusal.item) == ("there is no training row 9", "rows", 1)


def test_a_missing_library_is_refused_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customspec_prompting.demonstrations.find_spec", lambda name: None)
    refusal = FewShot().refusal(FewShotOptions(select="similar"), ROWS)
    assert refusal is not None
    assert (refusal.message, refusal.extra) == ("`select: similar` needs bm25s", "retrieval")
    assert FewShot().refusal(FewShotOptions(select="diverse"), ROWS) is None


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model2vec model of our own words: a vector a word, near for words of one field."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, pre_tokenizers

    fields = {"money": ["cash", "coins", "pay"], "travel": ["train", "plane", "bus"], "food": ["bread", "soup", "rice"]}
    named = ["[UNK]", *(word for found in fields.values() for word in found)]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(named)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.zeros((len(named), 4), dtype=np.float32)
    for field, found in enumerate(fields.values()):
        for number, word in enumerate(found):
            vectors[named.index(word), field] = 1
            vectors[named.index(word), 3] = 0.1 * number
    folder = tmp_path_factory.mktemp("embeddings")
    StaticModel(vectors, tokenizer).save_pretrained(folder)
    return folder


def test_embeddings_find_what_shares_no_word(embeddings: Path) -> None:
    rows = [Example(f"train:{i}", None, text, "x") for i, text in enumerate(["cash", "train", "bread", "rice"], 1)]
    options = FewShotOptions(shots=1, select="similar", embeddings=str(embeddings))
    assert FewShot().refusal(options, rows) is None
    assert [shown(options, query(text), rows) for text in ("coins", "bus")] == [["train:1"], ["train:2"]]
    diverse = FewShotOptions(shots=3, select="diverse", embeddings=str(embeddings))
    assert len({*shown(diverse, query("a"), rows)} & {"train:3", "train:4"}) == 1


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    options = FewShotOptions(shots=1, select="similar", embeddings=str(tmp_path))
    refusal = FewShot().refusal(options, ROWS)
    assert refusal is not None
    assert refusal.option == "embeddings"
    assert "no model2vec model in" in refusal.message
