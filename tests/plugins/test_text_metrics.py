"""Metrics of words and texts: against sacrebleu and rouge-score, and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scores import REGISTRY, SENTENCES, TEXTS, Pairs, answers, score

from customspec.registry import metric_options


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("warm", "warm", 1),
        ("Warm", "wARM", 1),
        ("  a   b\n", "a b", 1),
        ("Straße", "STRASSE", 1),
        ("warm.", "warm", 0),
        ("ab", "a b", 0),
        ("", " \n", 1),
        ("", "a", 0),
    ],
)
def test_exact_match_by_hand(prediction: str, reference: str, expected: float) -> None:
    assert score("exact_match", [(prediction, reference)]) == expected


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("the cat sat", "the cat sat", 1),
        ("The cat, sat!", "the cat sat", 1),
        ("cat", "the cat sat", 2 * (1 * 1 / 3) / (1 + 1 / 3)),
        ("the cat sat on a mat", "a cat", 2 * (2 / 6 * 1) / (2 / 6 + 1)),
        ("dog", "cat", 0),
        ("the the the", "the", 2 * (1 / 3 * 1) / (1 / 3 + 1)),
        ("a a b", "a b b", 2 / 3),
        ("", "", 1),
        ("...", "", 1),
        ("", "cat", 0),
        ("cat", "!", 0),
        ("3 Äpfel", "3 äpfel", 1),
    ],
)
def test_token_f1_by_hand(prediction: str, reference: str, expected: float) -> None:
    assert score("token_f1", [(prediction, reference)]) == pytest.approx(expected)
    assert score("token_f1", [(reference, prediction)]) == pytest.approx(expected)


@pytest.mark.parametrize("stem", [False, True])
@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_is_rouge_scores(name: str, stem: bool) -> None:
    scorer = RougeScorer([name], use_stemmer=stem)
    expected = [scorer.score(reference, prediction)[name].fmeasure for prediction, reference in SENTENCES]
    assert score(name, SENTENCES, use_stemmer=stem) == pytest.approx(sum(expected) / len(expected))


def test_rouge_by_hand() -> None:
    pair = [("the cat sat", "the cat was fat")]
    assert score("rouge1", pair) == pytest.approx(2 * 2 / (3 + 4))
    assert score("rouge2", pair) == pytest.approx(2 * 1 / (2 + 3))
    assert score("rougeL", [("sat cat the", "the cat sat")]) == pytest.approx(1 / 3)
    assert score("rouge1", [("sitting cats", "sits cat")], use_stemmer=True) == 1


@pytest.mark.parametrize("name", ["rouge1", "rougeL"])
def test_rouge_reads_other_scripts_when_told(name: str) -> None:
    pair = [("кот сидит", "кот сидит")]
    assert score(name, pair) == 0  # rouge-score's words are ASCII
    assert score(name, pair, words="unicode") == 1
    assert score(name, [("", "")], words="unicode") == 0


@settings(derandomize=True, deadline=None, max_examples=40)
@given(TEXTS)
def test_bleu_and_chrf_are_sacrebleus(pairs: Pairs) -> None:
    predictions, references = [one for one, _ in pairs], [other for _, other in pairs]
    assert score("bleu", pairs) == pytest.approx(BLEU().corpus_score(predictions, [references]).score)
    assert score("chrf", pairs) == pytest.approx(CHRF().corpus_score(predictions, [references]).score)


@pytest.mark.parametrize("tokenize", ["13a", "intl", "zh", "char", "none"])
def test_bleus_options_are_sacrebleus(tokenize: str) -> None:
    predictions, references = [one for one, _ in SENTENCES], [[other for _, other in SENTENCES]]
    expected = BLEU(tokenize=tokenize, lowercase=True).corpus_score(predictions, references).score
    assert 0 < expected < 100
    assert score("bleu", SENTENCES, tokenize=tokenize, lowercase=True) == pytest.approx(expected)


@pytest.mark.parametrize("word_order", [0, 1, 2])
def test_chrfs_options_are_sacrebleus(word_order: int) -> None:
    predictions, references = [one for one, _ in SENTENCES], [[other for _, other in SENTENCES]]
    expected = CHRF(word_order=word_order, lowercase=True).corpus_score(predictions, references).score
    assert score("chrf", SENTENCES, word_order=word_order, lowercase=True) == pytest.approx(expected)


def test_one_metric_object_keeps_its_options_apart_and_gives_the_same_again() -> None:
    metric = REGISTRY.metric("bleu")
    loud = [(one.upper(), other) for one, other in SENTENCES]
    model = metric_options(metric)
    found = [metric.score(model.model_validate({"lowercase": low}), answers(loud)) for low in (True, False, True)]
    assert found[0] == found[2] > found[1]


def test_bleu_is_never_above_its_range_and_zero_without_four_words() -> None:
    assert score("bleu", [("a b c d e", "a b c d e")] * 3) == 100
    assert score("bleu", [("yes", "yes"), ("no", "no")]) == 0
    assert score("chrf", [("yes", "yes"), ("no", "no")]) == pytest.approx(100)
