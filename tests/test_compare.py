"""`customspec compare`, and the report for a pull request: one run against another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.report.changes import counted
from support import Ended, Workspace, colours

Command = Callable[..., Ended]

FIRST = "techniques: [zero_shot, {few_shot: {shots: 2}}]"
SECOND = "techniques: [zero_shot, {few_shot: {shots: 1}}, one_shot]"
GOAL = "goal: {metric: accuracy, at_least: 0.9}"


@pytest.fixture
def runs(workspace: Workspace, customspec: Command) -> tuple[Path, Path]:
    """Two runs that differ in the shots and in the test rows: the second has them upside down, and two more."""
    store = workspace.root / ".customspec" / "runs"
    assert customspec("run", workspace.spec(FIRST, GOAL)).code == 0
    workspace.rows("more.jsonl", [*colours(2, 900), *reversed(colours(12, 200))])
    changed = workspace.spec(SECOND, GOAL, name="second.yaml")
    changed.write_text(changed.read_text().replace("test: test.jsonl", "test: more.jsonl"))
    assert customspec("run", changed).code == 0
    return store / "colours-0001", store / "colours-0002"


def right(run: Path, key: str) -> dict[str, bool]:
    """By their text, which test rows a candidate has right."""
    rows = {"colours-0001": colours(12, 200), "colours-0002": [*colours(2, 900), *reversed(colours(12, 200))]}
    lines = (run / "candidates" / key / "predictions" / "test" / "predictions.jsonl").read_text().splitlines()
    return {row["text"]: json.loads(line)["correct"] for row, line in zip(rows[run.name], lines, strict=True)}


def test_runs_are_compared_on_the_rows_that_they_share(runs: tuple[Path, Path], customspec: Command) -> None:
    first, second = runs
    document = customspec("compare", first, second, "--json").json
    assert document["metric"] == "accuracy"
    assert [run["run"] for run in document["runs"]] == ["colours-0001", "colours-0002"]
    pairs = {
        (pair["first"]["candidate"], pair["second"]["candidate"]): pair
        for pair in document["pairs"]
        if pair["split"] == "test"
    }
    assert {("zero_shot@0", "zero_shot@0"), ("few_shot@0", "few_shot@0")} <= set(pairs)
    for pair in pairs.values():
        one, other = right(first, pair["first"]["candidate"]), right(second, pair["second"]["candidate"])
        assert pair["n"] == 12
        assert pair["difference"] == pytest.approx(sum(one[text] - other[text] for text in one) / 12)
    same = pairs["zero_shot@0", "zero_shot@0"]
    assert (same["difference"], same["p"], same["verdict"]) == (0, 1, "not distinguishable")


def test_what_differs_in_the_specs_is_told(runs: tuple[Path, Path], customspec: Command) -> None:
    document = customspec("compare", *runs, "--json").json
    (changed,) = document["changes"]
    settings = {change["path"]: (change["before"], change["after"]) for change in changed["settings"]}
    assert settings.pop("few_shot: shots") == (2, 1)
    assert settings.pop("one_shot") == (None, "one_shot")
    before, after = settings.pop("test data")
    assert before.startswith("test.jsonl (")
    assert after.startswith("more.jsonl (")
    assert settings == {}


def test_the_screen_has_both_answers_the_changes_and_the_verdicts(
    runs: tuple[Path, Path], customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ended = customspec("compare", *runs)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0].startswith("colours-0001: no candidate reaches accuracy at least 0.9")
    assert "  few_shot: shots: 2 → 1" in ended.out
    assert re.search(
        r"test +colours-0001 zero_shot@0 +not distinguishable +colours-0002 zero_shot@0 +\+0\.000", ended.out
    )


def test_runs_without_rows_in_common_are_refused(
    runs: tuple[Path, Path], workspace: Workspace, customspec: Command
) -> None:
    for name, start in (("train", 2000), ("validation", 2100), ("test", 2200)):
        workspace.rows(f"{name}.jsonl", colours(12, start))
    assert customspec("run", workspace.spec("techniques: [zero_shot]", name="third.yaml")).code == 0
    ended = customspec("compare", runs[0], workspace.root / "third.yaml")
    assert ended.code == 2
    todo = "compare runs whose validation or test files have rows in common"
    assert f"colours-0001 and colours-0003 have no rows in common: there is nothing to compare; {todo}" in ended.err
    three = (*runs, workspace.root / "third.yaml")
    reason = f"no verdict is about colours-0003: the candidates of the other runs answered none of its rows; {todo}"
    assert customspec("compare", *three).out.endswith(f"\n\n{reason}\n")
    assert customspec("compare", *three, "--json").json["without_verdict"] == [
        {"run": "colours-0003", "reason": reason}
    ]
    assert customspec("compare", *runs, "--json").json["without_verdict"] == []


def test_estimates_of_different_test_rows_are_not_subtracted(runs: tuple[Path, Path], customspec: Command) -> None:
    first, second = runs
    lines = customspec("report", second, "--format", "markdown", "--base", first).out.partition("#### Against")[2]
    assert "The test rows of the two runs differ, so the estimates are not subtracted" in lines
    assert re.search(r"^\| `zero_shot@0` \| 0\.\d{3} \[.*\] \| 0\.\d{3} \[.*\] \| – \|", lines, re.MULTILINE)
    itself = customspec("report", first, "--format", "markdown", "--base", first).out.partition("#### Against")[2]
    assert "subtracted" not in itself
    assert re.search(r"^\| `zero_shot@0` \| .* \| \+0\.000 \|", itself, re.MULTILINE)


def test_one_setting_differs_and_two_differ() -> None:
    assert [counted(number) for number in (1, 2)] == ["1 setting differs", "2 settings differ"]


def test_runs_without_a_common_metric_are_refused(
    runs: tuple[Path, Path], workspace: Workspace, customspec: Command
) -> None:
    assert (
        customspec("run", workspace.spec("techniques: [zero_shot]", "metrics: [weighted_f1]", name="f1.yaml")).code == 0
    )
    ended = customspec("compare", runs[0], workspace.root / "f1.yaml")
    assert ended.code == 2
    assert (
        "no metric in common, with the same options (colours-0001: accuracy, macro_f1; colours-0003: weighted_f1)"
        in ended.err
    )


def test_one_run_is_not_compared_with_itself(runs: tuple[Path, Path], customspec: Command) -> None:
    ended = customspec("compare", runs[0], runs[0])
    assert ended.code == 2
    assert "two runs, or more" in ended.err


def test_the_comment_has_answer_results_verdicts_and_what_differs(runs: tuple[Path, Path], customspec: Command) -> None:
    first, second = runs
    results: Any = json.loads((second / "results.json").read_text())
    text = customspec("report", second, "--format", "markdown", "--base", first).out
    assert text.startswith("### colours: no candidate reaches accuracy at least 0.9")
    for candidate in results["candidates"]:
        value = candidate["metrics"]["test"]["accuracy"]["value"]
        assert re.search(rf"^\| (\*\*)?`{candidate['key']}`(\*\*)? \| .* \| {value:.3f} \[", text, re.MULTILINE)
    assert "#### Against `colours-0001`" in text
    assert "| few\\_shot: shots | `2` | `1` |" in text
    assert re.search(r"^\| `one_shot@0` \| – \| 0\.\d{3} \[.*\] \| – \|", text, re.MULTILINE)
    assert text.count("<details") == text.count("</details>") == 3
    assert len(text) < 65_536  # what a comment may hold


def test_a_base_belongs_to_the_comment(runs: tuple[Path, Path], customspec: Command) -> None:
    ended = customspec("report", runs[1], "--base", runs[0])
    assert ended.code == 2
    assert "--base belongs to --format markdown" in ended.err
