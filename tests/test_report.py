"""`customspec report`: the page, the pull request's comment, and the numbers in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from customspec.report import numbers
from customspec.report.page import page_of
from customspec.report.sides import from_side
from pages import Page
from support import Ended, Workspace, colours

Command = Callable[..., Ended]

HOSTILE = "<script>alert(1)</script> | `x` \x1b[31m \u202e [a](http://evil.example) @you &lt;"
CLASS = "</style><img src=x onerror=alert(1)>|\u2066"
TECHNIQUES = "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2, max_steps: 4, eval_steps: 2}}]"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, shared_headers: Path) -> Workspace:
    """A folder with a finished run of three candidates, in whose data stands hostile text."""
    root = tmp_path_factory.mktemp("report") / "specs"
    root.mkdir()
    (root / "model").symlink_to(tiny_folder)
    (root / ".customspec").mkdir(mode=0o700)
    (root / ".customspec" / "headers").symlink_to(shared_headers)
    space = Workspace(root)
    hostile = {"text": f"hostile {HOSTILE}", "label": CLASS}
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200)):
        space.rows(f"{name}.jsonl", [{**hostile, "text": f"{name} {hostile['text']}"}, *colours(count, start)])
    spec = space.spec(TECHNIQUES, "goal: {metric: accuracy, at_least: 0.9}", "metrics: [accuracy, macro_f1]")
    assert called("run", spec).code == 0
    return space


def called(*arguments: str | Path) -> Ended:
    """customspec in this process, for fixtures of a whole module."""
    from customspec.cli import main

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(space: Workspace) -> Path:
    return space.root / ".customspec" / "runs" / "colours-0001"


@pytest.fixture(scope="module")
def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def html(space: Workspace, folder: Path) -> str:
    ended = called("report", space.root / "spec.yaml")
    assert ended.code == 0, ended.err
    assert ended.out == f"report: {folder / 'report.html'}\n"
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_numbers_are_those_of_the_results(page: Page, results: Any) -> None:
    for candidate in results["candidates"]:
        key, cost = candidate["key"], candidate["cost"]
        validation, test = (candidate["metrics"][split]["accuracy"] for split in ("validation", "test"))
        cells = next(page.rows(key))
        speed = cost["rows_per_second"]
        assert cells == [
            key,
            numbers.value(validation["value"]),
            numbers.value(test["value"]),
            numbers.measured_interval(test),
            numbers.seconds(cost["train_seconds"]) if candidate["family"] == "tuning" else "none",
            numbers.seconds(1 / speed),
            numbers.seconds(cost["latency_seconds"]),
            numbers.count(cost["prompt_tokens_per_example"]),
            numbers.count(cost["trainable_parameters"]),
            numbers.size(cost["artifact_bytes"]) if cost["artifact_bytes"] else "none",
            numbers.size(cost["peak_memory_bytes"]),
            pytest.approx(cells[11]),
        ]
        assert cells[11].removesuffix(" *") == numbers.seconds(cost["train_seconds"] + 1000 / speed)
        for split in ("validation", "test"):
            told = [numbers.interval(candidate["metrics"][split][metric]) for metric in ("accuracy", "macro_f1")]
            assert [key, split, "13", *told] in list(page.rows(key))


def test_the_answer_and_its_reasons_stand_first(page: Page, results: Any) -> None:
    answer = results["decision"]["answer"]
    assert answer[1:] in page.words
    assert page.words.index(answer[1:]) < page.words.index("Quality against cost")


def test_every_verdict_says_whether_it_could_choose(page: Page, results: Any) -> None:
    chosen = results["decision"]["chosen_key"]
    told = [from_side(pair, chosen) for pair in results["decision"]["pairs"]]
    verdicts = [row for row in page.rows(chosen) if len(row) == 10]
    own = [pair for pair in told if pair["first"] == chosen]
    assert [(row[1], row[2], row[3], row[8]) for row in verdicts] == [
        (pair["verdict"], pair["second"], numbers.difference(pair["difference"]), "13") for pair in own
    ]
    assert len(own) == 4
    assert sum(len(row) == 10 for table in page.tables for row in table[1:]) == len(told) == 6
    assert "Choosing: validation rows" in page.words
    assert "Descriptive: test rows Nothing was chosen by these" in page.words


def test_every_figure_can_be_traced(page: Page, folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    hovered = " ".join(attributes.get("title", "") for _, attributes in page.elements)
    for step in plan["steps"]:
        assert [row[0] for row in page.rows(step["id"])] == [step["id"]]
        assert step["fingerprint"] in hovered
        if step["kind"] == "evaluate":
            rows = next(page.rows(step["id"]))
            assert rows[1:4] == [step["candidate"], "0", "13"]
            assert f"{step['params']['split']}, 13 rows: {step['fingerprint'][7:19]}" in hovered
        if step["kind"] == "train":
            assert next(page.rows(step["id"]))[1:4] == [step["candidate"], "0", "25"]
            assert f"train, 25 rows: {step['fingerprint'][7:19]}" in hovered


def test_every_line_of_a_candidate_and_its_facts_tell_where_they_come_from(
    page: Page, results: Any, customspec: Command, folder: Path
) -> None:
    view = customspec("report", folder, "--json").json
    scores = {"low": 0, "high": 1, "bins": [6, 7], "rows": 13, "mean": 0.5, "quartiles": [0, 0.2, 0.5, 0.7, 1]}
    spread = {"seeds": [0], "min": 0.5, "max": 0.5, "sd": 0.0}
    keys = [candidate["key"] for candidate in results["candidates"]]
    view["distributions"] = [{"key": key, "split": "test", "metric": "accuracy", **scores} for key in keys]
    view["decision"]["seeds"] = {"lora": {"test": spread}}
    html = page_of(view)
    lines = [
        (name, line)
        for line, name in re.findall(r'<tr([^>]*)>\s*<th scope="row">([^<]+)</th>', html)
        if name in [*keys, "lora"]
    ]
    assert len(lines) == 3 + 2 * 3 + 3 + 3 + 6 + 1, "results, all metrics, estimates, scores, pairs, seeds"
    assert [line for name, line in lines if not re.search(f"{name}.* seed 0.*13 .*[0-9a-f]{{12}}", line)] == []
    chosen = results["decision"]["chosen_key"]
    step = results["steps"][f"evaluate:{chosen}:test"]["fingerprint"][7:19]
    facts = [had["title"] for tag, had in page.elements if had.get("class") == "facts"]
    assert [f"{chosen}, seed 0; steps: " in told and f"test, 13 rows: {step}" in told for told in facts] == [True]
    told = f"{chosen}, seed 0, 13 test rows, step evaluate:{chosen}:test {step}"
    recall = [had.get("title") for tag, had in page.elements if tag == "td" and had.get("class") == "recall"]
    assert recall[:3] == [told] * 3


def test_a_line_in_a_picture_is_told_as_a_whole(html: str, results: Any) -> None:
    told = re.findall(r"<title>([^<]*)</title>", html)
    assert [one for one in told if re.match("(cost|step|rows|value): ", one)] == []
    (frontier,) = {one for one in told if one.startswith("the frontier: ")}
    keys = {candidate["key"] for candidate in results["candidates"]}
    assert set(frontier.removeprefix("the frontier: ").split(", ")) <= keys
    origin = (
        f"lora@0, seed 0, 25 training rows, step train:lora@0 {results['steps']['train:lora@0']['fingerprint'][7:19]}"
    )
    assert f"training loss of {origin}" in told
    assert f"accuracy on the validation rows while training, of {origin}" in told
    assert any(re.match(r"step 1: loss [\d.]+; ", one) and one.endswith(origin) for one in told)


def test_the_confusion_matrix_counts_the_predictions(page: Page, folder: Path, results: Any) -> None:
    key = results["decision"]["chosen_key"]
    lines = (folder / "candidates" / key / "predictions" / "test" / "predictions.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    matrix = next(table for table in page.tables if table[0][0] == f"{len(records)} rows")
    assert len(matrix) == 1 + 3
    counts = [[int(cell.replace("·", "0")) for cell in row[1:4]] for row in matrix[1:]]
    assert sum(map(sum, counts)) == len(records)
    assert sum(counts[place][place] for place in range(3)) == sum(record["correct"] for record in records)


def test_the_prompt_is_the_very_text_that_the_model_read(page: Page, folder: Path, space: Workspace) -> None:
    shown = called("show", space.root / "spec.yaml", "--json").json
    for row in shown:
        seen = json.loads((folder / "candidates" / row["candidate"] / "prompt.json").read_text())["seen"]
        assert (seen["text"], seen["tokens"]) == (row["prompt"], row["prompt_tokens"])
        assert f"{row['candidate']} · row {row['row']}, {row['prompt_tokens']} tokens" in page.words


def test_the_rows_of_disagreement_are_those_of_the_predictions(folder: Path) -> None:
    found = json.loads((folder / "evidence.json").read_text())["disagreements"]
    given = {
        path.parents[2].name: {record["id"]: record for record in map(json.loads, path.read_text().splitlines())}
        for path in folder.glob("candidates/*/predictions/validation/predictions.jsonl")
    }
    differing = {id for id in given["lora@0"] if len({rows[id]["prediction"] for rows in given.values()}) > 1}
    assert (found["split"], found["rows"], found["of"]) == ("validation", len(differing), 13)
    assert {row["row"] for row in found["shown"]} == differing
    for row in found["shown"]:
        for key, answer in row["given"].items():
            record = given[key][row["row"]]
            assert answer["prediction"] == record["prediction"]
            assert answer["probability"] == record["probabilities"][record["prediction"]]


def test_the_data_are_told(page: Page) -> None:
    assert next(row[:4] for row in page.rows("train")) == ["train", "25", "0", "0"]
    assert "No test rows ask what a train row asks" in page.words


def test_the_page_needs_nothing_and_runs_nothing(html: str, page: Page) -> None:
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "base",
        "img",
        "form",
    }
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "href", "srcset", "action", "data", "xlink:href", "poster"}, (tag, name)
            if name != "title":
                assert not re.search(r"url\((?!#)|https?:|//", value), (tag, name, value)
    assert not re.search(r"url\(|@import|https?:|//", "".join(page.styles))
    assert "default-src 'none'" in html
    assert page.open == []


def test_hostile_text_is_shown_and_does_nothing(html: str, page: Page) -> None:
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert " ".join(f"hostile {shown}".split()) in page.words
    assert CLASS.replace("\u2066", "\\u2066") in page.words
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", html)


def test_without_the_extra_the_tables_remain(
    folder: Path, html: str, page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, customspec: Command
) -> None:
    assert sum(tag == "svg" and "viewbox" in attributes for tag, attributes in page.elements) > 4
    monkeypatch.setitem(sys.modules, "altair", None)
    ended = customspec("report", folder, "--out", tmp_path / "plain.html")
    assert ended.code == 0, ended.err
    plain = Page((tmp_path / "plain.html").read_text(encoding="utf-8"))
    assert 'pip install "customspec[report]"' in plain.words
    assert plain.tables == page.tables


def test_the_same_run_gives_the_same_page(folder: Path, html: str, customspec: Command) -> None:
    assert customspec("report", folder, "--out", "-").out == html


def test_json_holds_what_the_page_shows(folder: Path, results: Any, customspec: Command) -> None:
    view = customspec("report", folder, "--json").json
    assert view["decision"]["answer"] == results["decision"]["answer"]
    for shown, candidate in zip(view["candidates"], results["candidates"], strict=True):
        assert {key: shown[key] for key in candidate} == candidate
    assert sum(map(len, view["verdicts"].values())) == len(results["decision"]["pairs"])


def test_a_run_without_evidence_still_has_a_report(folder: Path, tmp_path: Path, customspec: Command) -> None:
    older = shutil.copytree(folder, tmp_path / "older")
    (older / "evidence.json").unlink()
    ended = customspec("report", older)
    assert ended.code == 0, ended.err
    assert "Where the candidates disagree" not in (older / "report.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_told_with_its_own_place(folder: Path, customspec: Command) -> None:
    ended = customspec("report", folder, "--out", "/dev/full")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith("error: /dev/full: no space is left")


def browsers() -> Iterator[str]:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            yield found


def opened(browser: str, html: str, folder: Path) -> tuple[str, str, set[str]]:
    """The page as a browser has it: its elements, what the browser said, and what the page asked the network for."""
    folder.mkdir()
    file, log = folder / "page.html", folder / "net.json"
    file.write_text(html, encoding="utf-8")
    quiet = "disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync"
    switches = ("headless", "no-sandbox", *quiet.split(), "enable-logging=stderr", "dump-dom")
    profile = (f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}")
    command = [browser, *(f"--{switch}" for switch in switches), *profile, file.as_uri()]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    asked = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # what the browser asks for of its own accord has no origin
    urls = {one["url"] for one in asked if one.get("initiator", "not an origin") != "not an origin"}
    return done.stdout, done.stderr, urls


@pytest.mark.slow
def test_a_browser_opens_it_without_errors_and_without_a_request(html: str, page: Page, tmp_path: Path) -> None:
    browser = next(browsers(), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    _, _, urls = opened(browser, "<img src='http://picture.invalid/'>", tmp_path / "other")
    assert urls == {"http://picture.invalid/"}, "a page that asks is seen to ask"
    elements, said, urls = opened(browser, html, tmp_path / "report")
    assert urls == set()
    assert "CONSOLE" not in said
    assert Page(elements).tables == page.tables
