"""Metrics in specs, plans and runs: options, ids, likelihoods, what is missing; and the commands that list them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import pytest
from plans import plan_of

from customspec.errors import PluginError, StepError
from customspec.hookspecs import Answer, Extra
from customspec.registry import Registry, check_extra, discover
from customspec.runners.kinds.evaluate import metric_json
from customspec.runners.metrics import Scoring
from customspec.spec import Options
from customspec_metrics.accuracy import Accuracy
from customspec_metrics.f1 import MacroF1
from customspec_metrics.token_f1 import TokenF1
from support import Ended, Workspace, run

Command = Callable[..., Ended]

FREE = 'prompt: {user: "{{ text }}", answer: "{{ label }}"}'
GENERATION = "generation: {max_new_tokens: 4}"


def records(workspace: Workspace, document: Any, key: str, split: str = "test") -> list[dict[str, Any]]:
    folder = workspace.candidate_folder(document, key) / "predictions" / split
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


# ------------------------------------------------------------------------------------------------------------- plans


def test_the_goals_metric_is_first_and_options_are_part_of_the_steps(workspace: Workspace) -> None:
    plan = plan_of(
        workspace.spec(
            "techniques: [zero_shot]",
            "metrics:",
            "  - macro_f1",
            "  - {id: warm, regex: {pattern: warm}}",
            "  - {id: cold, regex: {pattern: co, match: part}}",
            "goal: {metric: cold, at_least: 0.5}",
        )
    )
    assert plan.metrics == ("cold", "macro_f1", "warm")
    [first, *_] = plan.step("evaluate:zero_shot@0:test").params["metrics"]
    offer = discover().offer("metric", "regex")
    assert first == {
        "id": "cold",
        "name": "regex",
        "distribution": "customspec",
        "version": offer.version,
        "options": {"pattern": "co", "match": "part"},
    }
    assert plan.step("decide").params["metric"] == first


def test_another_option_is_another_step_and_a_default_written_out_is_not(workspace: Workspace) -> None:
    def fingerprints(metric: str) -> dict[str, str]:
        plan = plan_of(workspace.spec("techniques: [zero_shot]", GENERATION, f"metrics: [{metric}]", prompt=FREE))
        return {step.id: step.fingerprint for step in plan.steps}

    bare, same, other = map(fingerprints, ("rouge1", "rouge1: {use_stemmer: false}", "rouge1: {use_stemmer: true}"))
    assert bare == same
    changed = {id for id in bare if bare[id] != other[id]}
    assert changed == {"evaluate:zero_shot@0:validation", "evaluate:zero_shot@0:test", "decide"}


def test_the_goals_metric_needs_no_entry_where_its_defaults_do(workspace: Workspace) -> None:
    plan = plan_of(workspace.spec("techniques: [zero_shot]", "goal: {metric: perplexity, at_most: 3}"))
    assert plan.metrics == ("perplexity", "accuracy", "macro_f1")


# -------------------------------------------------------------------------------------------------------------- runs


def test_metrics_with_ids_and_options_stand_in_the_results(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(
        "techniques: [zero_shot, {few_shot: {shots: 2}}]",
        "strategy: ladder",
        "metrics:",
        "  - {id: warm, regex: {pattern: warm}}",
        "  - {id: either, regex: {pattern: warm|cold}}",
        "  - {id: letter, regex: {pattern: o, match: part}}",
        "goal: {metric: either, at_least: 0.5}",
    )
    document = run(customspec, spec)
    assert document["decision"]["chosen_key"] == "zero_shot@0"
    assert [candidate["status"] for candidate in document["candidates"]] == ["done", "skipped"]
    found = document["candidates"][0]["metrics"]["test"]
    assert found.keys() == {"either", "warm", "letter"}
    share = [record["prediction"] for record in records(workspace, document, "zero_shot@0")].count("warm") / 12
    assert (found["either"]["value"], found["warm"]["value"]) == (1, share)
    assert found["letter"]["value"] == pytest.approx(1 - share)
    low, high = found["either"]["ci"]
    assert 0.7 < low < high == 1  # Wilson's: every row is right or wrong


def test_generated_texts_are_measured(workspace: Workspace, customspec: Command) -> None:
    metrics = "metrics: [bleu, chrf, rouge1, rouge2, rougeL, valid_json, {json_schema: {against: {}}}, token_f1]"
    document = run(customspec, workspace.spec("techniques: [zero_shot]", GENERATION, metrics, prompt=FREE))
    found = document["candidates"][0]["metrics"]["test"]
    assert len(found) == 8
    registry, rows = discover(), records(workspace, document, "zero_shot@0")
    answers = [Answer(row["prediction"], row["answer"]) for row in rows]
    for name in ("bleu", "chrf"):
        metric: Any = registry.metric(name)
        assert found[name]["value"] == metric.score(metric.options(), answers)
        assert found[name]["ci"][0] <= found[name]["value"] <= found[name]["ci"][1]
    assert found["valid_json"]["value"] == found["json_schema"]["value"]


@pytest.mark.parametrize("technique", ["zero_shot", "few_shot: {shots: 2}", "lora: {r: 2, max_steps: 2}"])
def test_perplexity_agrees_with_the_scores_of_the_choices(
    workspace: Workspace, customspec: Command, technique: str
) -> None:
    spec = workspace.spec(f"techniques: [{technique}]", "goal: {metric: perplexity, at_most: 1e6}")
    document = run(customspec, spec)
    key = document["candidates"][0]["key"]
    rows = records(workspace, document, key)
    for row in rows:
        assert row["answer_log_likelihood"] == pytest.approx(row["log_likelihoods"][row["answer"]], abs=5e-3)
        assert row["answer_tokens"] == len("warm") + 1  # a byte a token, and the end of the turn
    total = sum(row["answer_log_likelihood"] for row in rows)
    found = document["candidates"][0]["metrics"]["test"]["perplexity"]
    assert found["value"] == pytest.approx(math.exp(-total / (5 * len(rows))))
    assert found["ci"][0] < found["value"] < found["ci"][1]
    assert document["decision"]["goal_met"] is True


def test_likelihoods_are_computed_only_where_a_metric_asks(workspace: Workspace, customspec: Command) -> None:
    document = run(customspec, workspace.spec("techniques: [zero_shot]"))
    assert not any("answer_log_likelihood" in row for row in records(workspace, document, "zero_shot@0"))


# --------------------------------------------------------------------------------------------------------- intervals


def as_records(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The answers as `predictions.jsonl` holds them."""
    return [
        {
            "id": f"test:{number}",
            "prediction": one.prediction,
            "answer": one.reference,
            "answer_log_likelihood": one.log_likelihood,
            "answer_tokens": one.tokens,
        }
        for number, one in enumerate(answers)
    ]


ANSWERS = [Answer("a b", "a c"), Answer("x", "x"), Answer("y", "z"), Answer("a a", "a"), Answer("b", "b")]


@pytest.mark.parametrize("metric", [Accuracy(), TokenF1(), MacroF1()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("groups", [None, ["1", "1", "2", "3", "3"]], ids=["rows", "groups"])
def test_a_metric_lies_in_its_interval(metric: Any, groups: list[str] | None) -> None:
    records = as_records(ANSWERS)
    by_id = None if groups is None else {row["id"]: group for row, group in zip(records, groups, strict=True)}
    found = metric_json(Scoring("it", metric, Options()), records, by_id)
    assert found["value"] == pytest.approx(metric.score(Options(), ANSWERS))
    assert 0 <= found["ci"][0] <= found["value"] <= found["ci"][1] <= 1
    assert found["ci"][0] < found["ci"][1]
    assert found["n"] == 5


def test_a_mean_of_rows_has_the_interval_that_its_scores_have() -> None:
    class Whole(TokenF1):
        rows = None  # type: ignore[assignment]

        def score(self, options: Options, answers: Sequence[Answer]) -> float:
            return TokenF1().score(options, answers)

    by_rows, by_sets = (
        metric_json(Scoring("it", metric, Options()), as_records(ANSWERS)) for metric in (TokenF1(), Whole())
    )
    assert by_rows["ci"] == pytest.approx(by_sets["ci"])


def test_a_metric_that_is_no_finite_number_fails_its_step() -> None:
    perplexity = discover().metric("perplexity")
    with pytest.raises(StepError, match="`it` is not a finite number over 1 answers: inf"):
        metric_json(Scoring("it", perplexity, Options()), as_records([Answer("", "a", -1e9, 1)]))


# -------------------------------------------------------------------------------------------------- what is missing


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function: as if a module were not installed."""

    def hide(module: str) -> None:
        monkeypatch.setattr("customspec.registry.find_spec", lambda name: None if name == module else find_spec(name))

    return hide


def test_a_missing_extra_is_told_while_planning(
    workspace: Workspace, customspec: Command, without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.root)
    workspace.spec("techniques: [zero_shot]", "metrics: [exact_match, bleu]", GENERATION, prompt=FREE)
    without("sacrebleu")
    for command in ("validate", "plan", "run"):
        ended = customspec(command, "spec.yaml")
        assert ended.code == 4
        needed = "metric `bleu` needs sacrebleu, which is not installed: pip install 'customspec[text-metrics]'"
        assert ended.err.splitlines()[0] == f"spec.yaml:7:24: CS702 {needed}"
    assert not (workspace.root / ".customspec" / "runs").exists()


@pytest.mark.parametrize(
    ("line", "at"), [("metrics: [rougeL]", "11:11"), ("goal: {metric: rougeL, at_least: 0.5}", "11:16")]
)
def test_nobody_is_sent_to_install_a_metric_that_the_task_refuses(
    line: str, at: str, workspace: Workspace, customspec: Command, without: Callable[[str], None]
) -> None:
    spec = workspace.spec("techniques: [zero_shot]", line)
    installed = customspec("validate", spec)
    assert f":{at}: CS305 metric `rougeL` is for generation, but the prompt has `choices`" in installed.err
    without("rouge_score")
    assert customspec("validate", spec) == installed


def test_a_missing_extra_is_told_before_a_saved_plan_runs(
    workspace: Workspace, customspec: Command, without: Callable[[str], None]
) -> None:
    spec = workspace.spec("techniques: [zero_shot]", "metrics: [exact_match, bleu]", GENERATION, prompt=FREE)
    assert customspec("plan", spec, "--out", workspace.root / "plan.json").code == 0
    without("sacrebleu")
    ended = customspec("run", workspace.root / "plan.json")
    assert ended.code == 4
    assert "metric `bleu` needs sacrebleu, which is not installed" in ended.err
    assert not (workspace.root / ".customspec" / "runs").exists()


def test_a_missing_extra_does_not_hide_the_metric(customspec: Command, without: Callable[[str], None]) -> None:
    before = customspec("schema").out
    without("jsonschema")
    assert customspec("schema").out == before
    ended = customspec("metrics", "json_schema")
    assert ended.code == 0
    assert "unusable: metric `json_schema` needs jsonschema, which is not installed" in ended.out
    assert "against: object, required" in ended.out


def test_several_missing_modules_are_all_named() -> None:
    metric: Any = Accuracy()
    metric.extra = Extra(("json", "no_such_one", "no_such_two"), "acme[more]")
    with pytest.raises(PluginError, match=r"needs no_such_one and no_such_two, which .*: pip install 'acme\[more\]'"):
        check_extra("metric", metric)


# ------------------------------------------------------------------------------------------------------------ lists


def test_metrics_are_listed_with_task_and_range(customspec: Command) -> None:
    ended = customspec("metrics")
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines()] == list(discover().names("metric"))
    listed = {row["name"]: row for row in customspec("metrics", "--json").json}
    assert listed["perplexity"]["highest"] is None  # infinite
    assert (listed["bleu"]["lowest"], listed["bleu"]["highest"]) == (0, 100)
    assert all(row["distribution"] == "customspec" and row["summary"] for row in listed.values())


def test_a_metric_is_described_with_its_options(customspec: Command) -> None:
    ended = customspec("metrics", "chrf", "--json")
    assert [option["name"] for option in ended.json["options"]] == ["word_order", "lowercase"]
    assert "0 to 100, higher is better" in customspec("metrics", "chrf").out
    assert "1 to inf, lower is better" in customspec("metrics", "perplexity").out
    ended = customspec("metrics", "rouge")
    assert ended == Ended(2, "", "error: no metric `rouge` is installed; did you mean `rougeL`?\n")


def test_watchers_are_listed(customspec: Command, without: Callable[[str], None]) -> None:
    without("tensorboard")
    listed = {row["name"]: row for row in customspec("watchers", "--json").json}
    assert listed["mlflow"]["summary"]
    assert listed["tensorboard"]["problem"].endswith("pip install 'customspec[tensorboard]'")
    lines = customspec("watchers").out.splitlines()
    assert [line.split()[:2] for line in lines] == [["mlflow", "ready"], ["tensorboard", "unusable"]]


def test_a_metric_may_not_bear_a_reserved_name(monkeypatch: pytest.MonkeyPatch) -> None:
    metric: Any = Accuracy()
    metric.name = "id"
    monkeypatch.setattr("customspec.registry._offered", lambda offer: [metric])
    offer = discover().offer("metric", "accuracy")
    registry = Registry({("metric", "id"): (type(offer)("metric", "id", "acme", "1", offer.entry),)})
    with pytest.raises(PluginError, match="`id` is a reserved key and cannot name a metric"):
        registry.metric("id")
