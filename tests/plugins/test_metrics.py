"""Metrics: against scikit-learn, sacrebleu and rouge-score, and by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from customspec.hookspecs import Answer, Metric, ScoresRows, ScoresTotals
from customspec.registry import discover, metric_options
from customspec.spec import Options
from customspec.spec.described import descriptions

REGISTRY = discover()
EVERY = [name for name in REGISTRY.names("metric") if REGISTRY.offer("metric", name).distribution == "customspec"]
MEANS = [name for name in EVERY if isinstance(REGISTRY.metric(name), ScoresRows)]
NEEDED: dict[str, dict[str, Any]] = {
    "regex": {"pattern": "[a-z ]+"},
    "json_schema": {"against": {"type": "integer"}},
}
BY_REFERENCE = [name for name in EVERY if name not in {"perplexity", "valid_json", *NEEDED}]
Pairs = list[tuple[str, str]]
LABELS = st.sampled_from(["warm", "cold", "hot", "", "a b"])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
TEXTS = st.lists(st.tuples(st.text("aB é1.\n日"), st.text("Ab é1.\t日")), min_size=1, max_size=8)
SENTENCES: Pairs = [
    ("the cat sat on the mat", "the cat is sitting on the mat"),
    ("there is a dog in the garden today", "a dog was in the garden"),
    ("", "nothing was said"),
    ("Äpfel und Birnen fallen vom Baum", "Äpfel und Birnen, sie fallen vom Baum."),
    ("same words here, exactly", "same words here, exactly"),
]


def answers(pairs: Sequence[tuple[str, str]]) -> list[Answer]:
    """Pairs of prediction and reference; every token of a reference is as likely as not."""
    return [Answer(one, other, len(other.split()) * -math.log(2), len(other.split())) for one, other in pairs]


def score(name: str, pairs: Sequence[tuple[str, str]], **options: Any) -> float:
    metric = REGISTRY.metric(name)
    return metric.score(metric_options(metric).model_validate({**NEEDED.get(name, {}), **options}), answers(pairs))


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


# --------------------------------------------------------------------------------------------------- words and texts


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


# ------------------------------------------------------------------------------------------------- patterns and JSON


@pytest.mark.parametrize(
    ("pattern", "match", "text", "expected"),
    [
        (r"\d+", "whole", "42", 1),
        (r"\d+", "whole", "42 ", 0),
        (r"\d+", "part", "it is 42", 1),
        ("a|ab", "whole", "ab", 1),
        ("x*", "whole", "", 1),
        ("x+", "part", "", 0),
        ("(?i)äpfel", "whole", "ÄPFEL", 1),
        (r"\pL+", "whole", "日本語", 1),
        (".", "whole", "🎈", 1),
        ("(?s).*b", "whole", "a\nb", 1),
    ],
)
def test_regex_by_hand(pattern: str, match: str, text: str, expected: float) -> None:
    assert score("regex", [(text, "whatever")], pattern=pattern, match=match) == expected


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_no_trap() -> None:
    assert score("regex", [("a" * 50_000 + "!", "")], pattern="(a+)+") == 0


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", r"(a)\1", "(a{1000}){1000}", ""])
def test_a_pattern_that_re2_cannot_take_is_an_error(pattern: str) -> None:
    with pytest.raises(ValidationError):
        score("regex", [("a", "")], pattern=pattern)


VALID = ["{}", "[]", "null", "0", '"a"', ' {"a": [1, 2.5e3, true]}\n', '"\\u00e9 日"', "1" * 5000, '{"a": 1, "a": 2}']
INVALID = ["", "nul", "{'a': 1}", "{a: 1}", "[1,]", "NaN", "-Infinity", "01", "```json\n{}\n```", "{} {}", "\ufeff{}"]


@pytest.mark.parametrize("text", VALID)
def test_json_is_valid(text: str) -> None:
    assert score("valid_json", [(text, "")]) == 1


@pytest.mark.parametrize("text", [*INVALID, "[" * 200_000])
def test_json_is_invalid(text: str) -> None:
    assert score("valid_json", [(text, "")]) == 0
    assert score("json_schema", [(text, "")], against={"minimum": 0}) == 0


SCHEMA = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "number", "minimum": 0}, "code": {"type": "string", "pattern": "^[A-Z]{2}$"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"amount": 3}, 1),
        ({"amount": 0.5, "code": "DE"}, 1),
        ({"amount": -1}, 0),
        ({"amount": "3"}, 0),
        ({"amount": 3, "code": "DEU"}, 0),
        ({"amount": 3, "note": ""}, 0),
        ({}, 0),
        ([], 0),
    ],
)
def test_json_schema_by_hand(value: object, expected: float) -> None:
    assert score("json_schema", [(json.dumps(value), "")], against=SCHEMA) == expected


def test_a_schema_may_refer_within_itself_and_recur() -> None:
    tree = {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"}
    assert score("json_schema", [("[[], [[]]]", ""), ("[1]", "")], against=tree) == 0.5
    assert score("json_schema", [("[" * 500 + "]" * 500, "")], against=tree) == 0  # deeper than can be checked


def test_an_older_draft_is_read_as_such() -> None:
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 0, "exclusiveMinimum": True}
    assert score("json_schema", [("0", ""), ("1", "")], against=old) == 0.5


def test_a_schemas_pattern_cannot_backtrack_for_ever() -> None:
    against = {"pattern": "^(a+)+$"}
    assert score("json_schema", [(json.dumps("a" * 50_000 + "!"), "")], against=against) == 0


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ({"type": "objekt"}, "no JSON Schema"),
        ({"properties": {"a": {"minimum": "0"}}}, r"at \['properties'\]\['a'\]\['minimum'\]"),
        ({"items": {"pattern": "(?=a)"}}, "no regular expression of RE2"),
        ({"patternProperties": {"a": {}}}, "`patternProperties` is not supported"),
        ({"$ref": "#/$defs/none"}, "refers to nothing in the schema"),
        ({"$ref": "https://example.com/schema.json"}, "refers to nothing in the schema"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "refers to nothing in the schema"),
        ({"$ref": "#"}, "refers to itself without end"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error(against: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        score("json_schema", [("{}", "")], against=against)


def test_what_a_schema_holds_as_data_is_no_keyword() -> None:
    against = {"enum": [{"pattern": "(?=a)", "$ref": "nowhere"}]}
    assert score("json_schema", [(json.dumps(against["enum"][0]), ""), ("{}", "")], against=against) == 0.5


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
