"""What holds for all metrics; classification against scikit-learn and by hand; perplexity."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores import NEEDED, PAIRS, REGISTRY, SENTENCES, TEXTS, Pairs, answers, score
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from customspec.hookspecs import Answer, Metric, ScoresRows, ScoresTotals
from customspec.registry import metric_options
from customspec.spec import Options
from customspec.spec.described import descriptions

EVERY = [name for name in REGISTRY.names("metric") if REGISTRY.offer("metric", name).distribution == "customspec"]
MEANS = [name for name in EVERY if isinstance(REGISTRY.metric(name), ScoresRows)]
BY_REFERENCE = [name for name in EVERY if name not in {"perplexity", "valid_json", *NEEDED}]


def test_the_metrics_that_ship() -> None:
    assert EVERY == [
        "accuracy",
        "bleu",
        "chrf",
        "exact_match",
        "json_schema",
        "macro_f1",
        "matthews_correlation",
        "perplexity",
        "regex",
        "rouge1",
        "rouge2",
        "rougeL",
        "token_f1",
        "valid_json",
        "weighted_f1",
    ]
    proportions = [name for name in EVERY if REGISTRY.metric(name).proportion]
    assert proportions == ["accuracy", "exact_match", "json_schema", "regex", "valid_json"]
    assert sorted([*proportions, "rouge1", "rouge2", "rougeL", "token_f1"]) == MEANS


# ------------------------------------------------------------------------------------------------ what holds for all


@pytest.mark.parametrize("name", MEANS)
@settings(derandomize=True, deadline=None, max_examples=30)
@given(TEXTS)
def test_a_score_is_the_mean_of_its_rows_and_a_proportion_counts_rows(name: str, pairs: Pairs) -> None:
    metric = REGISTRY.metric(name)
    assert isinstance(metric, ScoresRows)
    options = metric_options(metric).model_validate(NEEDED.get(name, {}))
    rows = metric.rows(options, answers(pairs))
    assert len(rows) == len(pairs)
    assert metric.score(options, answers(pairs)) == pytest.approx(math.fsum(rows) / len(rows), abs=1e-12)
    assert rows == [number for pair in pairs for number in metric.rows(options, answers([pair]))]
    if metric.proportion:
        assert set(rows) <= {0.0, 1.0}


@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "matthews_correlation"])
@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=12), st.randoms())
def test_totals_of_any_rows_have_their_score(name: str, pairs: Pairs, random: Any) -> None:
    metric = REGISTRY.metric(name)
    assert isinstance(metric, ScoresTotals)
    parts = metric.parts(Options(), answers(pairs))
    drawn = [[random.randrange(len(pairs)) for _ in pairs] for _ in range(3)]
    found = metric.of_totals(Options(), np.stack([parts[rows].sum(axis=0) for rows in drawn]))
    assert found.tolist() == pytest.approx(
        [metric.score(Options(), answers([pairs[row] for row in rows])) for rows in drawn]
    )


@pytest.mark.parametrize("name", ["bleu", "chrf", "perplexity"])
@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.randoms())
def test_totals_of_any_texts_have_their_score(name: str, random: Any) -> None:
    metric = REGISTRY.metric(name)
    assert isinstance(metric, ScoresTotals)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "it", "left"]
    texts = [" ".join(random.choices(words, k=random.randint(1, 12))) for _ in range(16)]
    given = [
        Answer(reference=first, prediction=second, log_likelihood=-random.random(), tokens=random.randint(1, 9))
        for first, second in zip(texts[::2], texts[1::2], strict=True)
    ]
    options = metric_options(metric)()
    parts = metric.parts(options, given)
    drawn = [[random.randrange(len(given)) for _ in given] for _ in range(3)]
    found = metric.of_totals(options, np.stack([parts[rows].sum(axis=0) for rows in drawn]))
    assert found.tolist() == pytest.approx([metric.score(options, [given[row] for row in rows]) for rows in drawn])


@pytest.mark.parametrize("name", EVERY)
@settings(derandomize=True, deadline=None, max_examples=30)
@given(TEXTS)
def test_a_metric_stays_in_its_range_whatever_the_order_of_the_rows(name: str, pairs: Pairs) -> None:
    pairs = [(one, other or "a") for one, other in pairs if other.strip()] or [("", "a")]
    metric = REGISTRY.metric(name)
    found = score(name, pairs)
    assert metric.lowest <= found <= metric.highest
    assert score(name, pairs[::-1]) == pytest.approx(found)


@pytest.mark.parametrize("name", BY_REFERENCE)
def test_right_answers_are_best_and_others_are_not(name: str) -> None:
    texts = [reference for _, reference in SENTENCES]
    highest = REGISTRY.metric(name).highest
    assert score(name, [(text, text) for text in texts]) == pytest.approx(highest)
    assert score(name, [("", text) for text in texts]) <= 0
    assert score(name, list(zip(texts, texts[1:] + texts[:1], strict=True))) < highest / 2


@pytest.mark.parametrize("name", EVERY)
def test_a_metric_says_its_range_and_direction(name: str) -> None:
    metric = REGISTRY.metric(name)
    assert metric.lowest < metric.highest
    assert metric.higher_is_better == (name != "perplexity")
    assert metric.summary.endswith(".")


# ---------------------------------------------------------------------------------------------------- classification


@settings(derandomize=True, deadline=None)
@given(PAIRS)
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_classification_metrics_are_scikit_learns(pairs: Pairs) -> None:
    predicted, true = [one for one, _ in pairs], [other for _, other in pairs]
    assert score("accuracy", pairs) == pytest.approx(accuracy_score(true, predicted))
    assert score("macro_f1", pairs) == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    assert score("weighted_f1", pairs) == pytest.approx(f1_score(true, predicted, average="weighted", zero_division=0))
    assert score("matthews_correlation", pairs) == pytest.approx(matthews_corrcoef(true, predicted), abs=1e-12)


def test_f1_by_hand() -> None:
    # a: precision 1/2, recall 1 -> 2/3; b: precision 1, recall 1/3 -> 1/2; c: predicted once, never right -> 0
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("c", "b")]
    assert score("macro_f1", pairs) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert score("weighted_f1", pairs) == pytest.approx((2 / 3 + 3 * 1 / 2) / 4)


def test_matthews_correlation_by_hand() -> None:
    # binary: (tp tn - fp fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn)), with 6 true positives, 3, 1 and 2
    pairs = [("y", "y")] * 6 + [("n", "n")] * 3 + [("y", "n")] * 1 + [("n", "y")] * 2
    assert score("matthews_correlation", pairs) == pytest.approx((6 * 3 - 1 * 2) / math.sqrt(7 * 8 * 4 * 5))
    assert score("matthews_correlation", [("y", "n"), ("n", "y")]) == -1


@pytest.mark.parametrize("pairs", [[("a", "a")] * 3, [("a", "b")] * 3, [("a", "a"), ("a", "b")], [("a", "b")]])
def test_matthews_correlation_of_one_choice_is_zero(pairs: Pairs) -> None:
    assert score("matthews_correlation", pairs) == 0


@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "matthews_correlation"])
def test_the_last_digit_is_the_same_in_every_process(name: str) -> None:
    program = (
        "from customspec.hookspecs import Answer\n"
        "from customspec.registry import discover\n"
        "labels = [f'label {n * n % 23}' for n in range(400)]\n"
        "guesses = [label if n % 7 % 3 else f'label {n % 19}' for n, label in enumerate(labels)]\n"
        f"print(repr(discover().metric({name!r}).score(None, list(map(Answer, guesses, labels)))))"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in "1234"
    }
    assert len(prints) == 1


# -------------------------------------------------------------------------------------------------------- perplexity


def test_perplexity_is_over_all_tokens_and_not_a_mean_of_rows() -> None:
    metric = REGISTRY.metric("perplexity")
    given = [Answer("", "a", math.log(1 / 2), 1), Answer("", "b", 3 * math.log(1 / 8), 3)]
    assert metric.score(None, given) == pytest.approx((2 * 8**3) ** (1 / 4))
    assert metric.score(None, [Answer("", "a", 0.0, 5)]) == 1
    assert metric.score(None, [Answer("", "a", -1e6, 5)]) == math.inf


def test_perplexity_without_likelihoods_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs the log-likelihood"):
        REGISTRY.metric("perplexity").score(None, [Answer("a", "a", -1.0, 1), Answer("a", "a")])


# -------------------------------------------------------------------------------------------------------- the contract


def test_every_option_has_a_help_text() -> None:
    bare = [
        f"{name}.{option}"
        for name in EVERY
        for model in [metric_options(REGISTRY.metric(name))]
        for option in model.model_fields
        if not descriptions(model).get(option)
    ]
    assert bare == []


def test_a_metric_is_typed_as_the_contract_has_it() -> None:
    metrics: list[Metric] = [REGISTRY.metric(name) for name in EVERY]
    assert [metric.name for metric in metrics] == EVERY
