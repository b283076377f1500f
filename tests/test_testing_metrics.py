"""The conformance kit: for every rule for metrics there is a metric that breaks it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, cast

import pytest

from customspec.hookspecs import Answer, Extra, Metric
from customspec.spec import Options
from customspec.testing import ConformanceError, check_metric, metric_checks_of


def right(options: Options, answers: Sequence[Answer]) -> list[float]:
    return [float(answer.prediction == answer.reference) for answer in answers]


def a_metric(**changes: Any) -> Metric:
    """Accuracy, with some of its members changed; None takes one away."""
    members = {
        "name": "changed",
        "summary": "Share of right answers.",
        "task": "any",
        "lowest": 0.0,
        "highest": 1.0,
        "higher_is_better": True,
        "proportion": True,
        "rows": right,
        "score": lambda options, answers: fmean(right(options, answers)),
    }
    return cast(Metric, SimpleNamespace(**members | changes))


class Asked(Options):
    words: int
    """Words of an answer."""


METRICS: list[tuple[str, dict[str, Any], str]] = [
    ("members", {"score": None}, "it lacks score"),
    ("declared", {"task": "regression"}, "`task` is 'regression'"),
    ("declared", {"lowest": 1.0}, "`lowest` is 1.0 and `highest` is 1.0"),
    ("declared", {"highest": 100.0}, "a proportion lies between 0 and 1"),
    ("range", {"score": lambda o, a: 2.0}, "2.0 is not between 0.0 and 1.0"),
    ("range", {"score": lambda o, a: float("nan")}, "nan is no finite number"),
    ("range", {"score": lambda o, a: -a[0].log_likelihood}, "raised TypeError"),
    ("order", {"score": lambda o, a: len(a[0].prediction) / 100}, "for the same rows turned round"),
    ("proportion", {"score": lambda o, a: 0.5}, "not 0 or 1"),
    ("proportion", {"score": lambda o, a: float(len(a) == 1)}, "the mean over single rows is 1.0"),
    ("rows", {"rows": lambda o, a: [1.0]}, "1 numbers for 8 answers"),
    ("rows", {"rows": lambda o, a: [0.5 for _ in a]}, "not 0 or 1"),
    ("rows", {"rows": lambda o, a: [1.0 for _ in a]}, "the mean of `rows` is 1.0"),
    ("rows", {"rows": lambda o, a: sorted(right(o, a))}, "a row's number depends on the others"),
    ("options_schema", {"options": dict}, "`options` must be a subclass of Options"),
    ("options_as_json", {"options": Asked}, "the options {} are not valid; give the check others"),
]


@pytest.mark.parametrize(("rule", "changes", "problem"), METRICS)
def test_a_metric_that_breaks_a_rule_is_told(rule: str, changes: dict[str, Any], problem: str) -> None:
    (check,) = [check for check in metric_checks_of(a_metric(**changes)) if check.name == rule]
    found = check.outcome()
    assert (found.status, problem in str(found.problem)) == ("wrong", True), found.problem


def test_a_metric_whose_extra_is_missing_is_skipped() -> None:
    metric = a_metric(extra=Extra(("no_such_module",), "acme[words]"))
    found = {check.name: check.outcome() for check in metric_checks_of(metric)}
    assert found["declared"].status == "ok"
    problem = "metric `changed` needs no_such_module, which is not installed: pip install 'acme[words]'"
    assert [(found[name].status, found[name].problem) for name in ("range", "rows")] == [("skipped", problem)] * 2


def test_a_metric_is_scored_with_its_options_and_likelihoods_where_it_needs_them() -> None:
    seen: list[tuple[Any, Answer]] = []

    def score(options: Any, answers: Sequence[Answer]) -> float:
        seen.extend((options, answer) for answer in answers)
        return 0.0

    metric = a_metric(score=score, options=Asked, needs_likelihood=True, proportion=False)
    (check,) = [check for check in metric_checks_of(metric, {"words": 3}) if check.name == "range"]
    assert check.outcome().status == "ok"
    assert {options.words for options, _ in seen} == {3}
    assert all((answer.log_likelihood or 0) < 0 < (answer.tokens or 0) for _, answer in seen)


def test_a_metric_whose_number_depends_on_the_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(str(importlib.import_module("customspec_metrics.accuracy").__file__)).read_text()
    for old, replacement in (
        ('"accuracy"', '"hashing"'),
        ("class Accuracy:", "class Hashing:"),
        ("[Accuracy()]", "[Hashing()]"),
        ("return fmean(self.rows(options, answers))", "return hash(answers[0].prediction) % 97 / 97"),
        ("import annotations\n", "import annotations\n\nimport torch\n"),
    ):
        assert old in source
        source = source.replace(old, replacement)
    (tmp_path / "hashing.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConformanceError) as raised:
        check_metric(importlib.import_module("hashing").Hashing())
    assert [outcome.name for outcome in raised.value.broken] == [
        "order",
        "proportion",
        "light_import",
        "any_process",
        "rows",
    ]
