"""How much a spec may hold, and how many problems are told at once: a small file never keeps a command busy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.cli.commands.validate import find_problems
from customspec.errors import MOST_PROBLEMS, Problem
from customspec.inputs.paths import Roots
from customspec.registry import discover
from support import Ended, Workspace

Command = Callable[..., Ended]


def problems_of(spec: Path) -> tuple[Problem, ...]:
    return find_problems(spec, None, discover(), Roots.of(spec.parent, (spec.parent / "model",)))


def listed(pattern: str, count: int) -> str:
    return "[" + ", ".join(pattern.format(index) for index in range(count)) + "]"


VALUES = "1,001 values to search; a spec may have 1,000"
TOO_MUCH = {
    f"seeds: {listed('{}', 300)}": "2,400 candidates, one for each entry and seed; a spec may have 250",
    f"techniques: {listed('zero_shot', 251)}": "251 candidates, one for each entry and seed; a spec may have 250",
    f"metrics: {listed('{{id: m{}, accuracy: {{}}}}', 101)}": "101 metrics; a spec may have 100",
    f"generation: {{stop: {listed('s{}', 101)}}}": "101 texts that end an answer; a spec may have 100",
    f"techniques: [{{lora: {{}}, search: {{r: {listed('{}', 1001)}}}}}]": VALUES,
}


@pytest.mark.parametrize(("lines", "expected"), TOO_MUCH.items(), ids=range(len(TOO_MUCH)))
def test_more_than_anybody_writes_is_refused_before_it_is_understood(
    workspace: Workspace, lines: str, expected: str
) -> None:
    [problem] = problems_of(workspace.spec(lines))
    assert (problem.code, problem.message) == ("CS204", expected)


@pytest.mark.parametrize("form", ["{}", "{{path: {}}}"])
def test_a_split_has_a_thousand_files_at_most(workspace: Workspace, form: str) -> None:
    spec = workspace.spec()
    files = form.format(listed("t{}.jsonl", 1001))
    spec.write_text(spec.read_text().replace("train: train.jsonl", f"train: {files}"))
    [problem] = problems_of(spec)
    assert problem.message == "1,001 files of one split; a spec may have 1,000"


def test_limits_hold_in_a_spec_that_is_wrong_otherwise(workspace: Workspace) -> None:
    spec = workspace.spec("unknown: 1", f"metrics: {listed('m{}', 101)}", "techniques: {lora: 3}", "seeds: 7")
    assert [problem.message for problem in problems_of(spec)] == ["101 metrics; a spec may have 100"]


@pytest.mark.parametrize(
    "lines",
    [
        f"metrics: {listed('m{}', 100)}",
        "\n".join(f"key{index}: 1" for index in range(100)),
        f"techniques: {listed('t{}', 100)}",
        "techniques:\n" + "\n".join(f"  - {{id: l{index}, lora: {{rr: 1, lx: 2}}}}" for index in range(40)),
        f"techniques: [{{lora: {{}}, search: {{r: {listed('x{}', 100)}}}}}]",
        "\n".join("goal: *alias" for _ in range(100)),
    ],
)
def test_fifty_problems_are_told_and_that_there_are_more(workspace: Workspace, lines: str) -> None:
    problems = problems_of(workspace.spec(lines))
    assert [problem.code for problem in problems].count(problems[-1].code) == 1
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].message == "there are more problems than these 50"


def test_every_form_says_that_there_are_more(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(f"metrics: {listed('m{}', 100)}")
    text = customspec("validate", spec)
    assert text.err.endswith(f"50 problems and more in {spec}\n")
    assert "CS209 there are more problems than these 50\n      = mend these; the others are then told" in text.err
    [told] = customspec("validate", "--format", "json", spec).json
    assert [problem["code"] for problem in told["problems"]] == ["CS304"] * 50 + ["CS209"]
    sarif = json.loads(customspec("validate", "--format", "sarif", spec).out)
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]][-1] == "CS209"
    assert customspec("validate", "--format", "github", spec).out.count("\n") == 51
    assert text.code == 2


def test_a_name_without_end_is_told_in_a_message_with_one(workspace: Workspace) -> None:
    [problem] = problems_of(workspace.spec(f"techniques: [{'a' * 200_000}]"))
    assert problem.message.startswith("no technique `aaa")
    assert problem.message.endswith("aaa` is installed")
    assert len(problem.message) < 2100


def test_thousands_of_choices_are_no_mistake(workspace: Workspace) -> None:
    many = ", ".join(f"answer {index}" for index in range(5000))
    prompt = f'prompt: {{user: "{{{{ text }}}}", answer: "{{{{ label }}}}", choices: [warm, cold, {many}]}}'
    assert problems_of(workspace.spec("techniques: [zero_shot]", prompt=prompt)) == ()
    [twice] = problems_of(workspace.spec(prompt=prompt.replace("answer 4000,", "answer 3,")))
    assert twice.message == "`answer 3` is already among the choices"


def test_among_many_keys_no_rename_is_certain(workspace: Workspace) -> None:
    spec = workspace.spec("\n".join(f"{'x' * 9}{index}: 1" for index in range(10)), "gaol: 1")
    assert [problem.rename for problem in problems_of(spec) if problem.rename] != []
    crowded = workspace.spec("gaol: 1", "\n".join(f"{'x' * 9}{index}: 1" for index in range(101)))
    assert [problem.rename for problem in problems_of(crowded) if problem.rename] == []


def test_a_path_of_endless_length_is_not_followed(workspace: Workspace) -> None:
    spec = workspace.spec()
    spec.write_text(spec.read_text().replace("train: train.jsonl", f"train: {'a/' * 8000}"))
    [problem] = problems_of(spec)
    assert problem.message == "a path of 16,000 characters; no file has one so long"
