"""Metrics: against scikit-learn, and by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from customspec.hookspecs import Metric
from customspec_metrics.accuracy import Accuracy
from customspec_metrics.exact_match import ExactMatch
from customspec_metrics.macro_f1 import MacroF1
from customspec_metrics.token_f1 import TokenF1

EVERY: list[Metric] = [Accuracy(), MacroF1(), ExactMatch(), TokenF1()]
LABELS = st.sampled_from(["warm", "cold", "hot", "", "a b"])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
TEXTS = st.lists(st.tuples(st.text("aB é1.\n"), st.text("Ab é1.\t")), min_size=1, max_size=8)


def apart(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [prediction for prediction, _ in pairs], [reference for _, reference in pairs]


@settings(derandomize=True)
@given(PAIRS)
def test_accuracy_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    predictions, references = apart(pairs)
    assert Accuracy().score(predictions, references) == pytest.approx(accuracy_score(references, predictions))


@settings(derandomize=True, deadline=None)
@given(PAIRS)
def test_macro_f1_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    predictions, references = apart(pairs)
    expected = f1_score(references, predictions, average="macro", zero_division=0)
    assert MacroF1().score(predictions, references) == pytest.approx(expected)


def test_macro_f1_by_hand() -> None:
    # a: precision 1/2, recall 1 -> 2/3; b: precision 1, recall 1/2 -> 2/3; c: predicted once, never right -> 0
    assert MacroF1().score(["a", "a", "b", "c"], ["a", "b", "b", "b"]) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


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
    assert ExactMatch().score([prediction], [reference]) == expected


def test_exact_match_is_a_mean_over_rows() -> None:
    assert ExactMatch().score(["a", "b", "C", "d"], ["a", "x", "c", "y"]) == 0.5


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
    assert TokenF1().score([prediction], [reference]) == pytest.approx(expected)
    assert TokenF1().score([reference], [prediction]) == pytest.approx(expected)


def test_token_f1_is_a_mean_over_rows() -> None:
    assert TokenF1().score(["a", "b", "a b"], ["a", "c", "a"]) == pytest.approx((1 + 0 + 2 / 3) / 3)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
@settings(derandomize=True)
@given(TEXTS)
def test_a_metric_stays_in_its_range_and_is_best_when_all_is_right(
    metric: Metric, pairs: list[tuple[str, str]]
) -> None:
    predictions, references = apart(pairs)
    assert metric.lowest <= metric.score(predictions, references) <= metric.highest
    assert metric.score(references, references) == pytest.approx(metric.highest)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
@settings(derandomize=True)
@given(TEXTS)
def test_the_order_of_the_rows_does_not_matter(metric: Metric, pairs: list[tuple[str, str]]) -> None:
    assert metric.score(*apart(pairs)) == pytest.approx(metric.score(*apart(pairs[::-1])))


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_sequences_of_different_lengths_are_refused(metric: Metric) -> None:
    with pytest.raises(ValueError, match="zip"):
        metric.score(["a", "b"], ["a"])


def test_macro_f1_is_the_same_to_the_last_digit_in_every_process() -> None:
    program = (
        "from customspec_metrics.macro_f1 import MacroF1\n"
        "labels = [f'label {n * n % 23}' for n in range(400)]\n"
        "guesses = [label if n % 7 % 3 else f'label {n % 19}' for n, label in enumerate(labels)]\n"
        "print(repr(MacroF1().score(guesses, labels)))"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in "123456"
    }
    assert len(prints) == 1


@settings(derandomize=True)
@given(PAIRS)
def test_a_proportion_is_a_whole_number_of_rows(pairs: list[tuple[str, str]]) -> None:
    for metric in EVERY:
        if metric.proportion:
            rows = metric.score(*apart(pairs)) * len(pairs)
            assert rows == pytest.approx(round(rows))
    assert [metric.name for metric in EVERY if metric.proportion] == ["accuracy", "exact_match"]
