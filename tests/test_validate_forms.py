"""`customspec validate --format`: the same problems for a person, a program, GitHub and code scanning."""

from __future__ import annotations

from collections.abc import Callable

import jsonschema
import pytest

from customspec.errors import Code, Location, Problem
from customspec.report.exchange import as_github, as_sarif
from customspec.report.explanations import explanations
from support import Ended, Workspace

Run = Callable[..., Ended]
BAD = "techniques: [{lora: {lr: 1e-3}}, {id: b, lora: {r: 0}}]"

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
POSITION = {"type": "integer", "minimum": 1}
REGION = {"type": "object", "required": ["startLine", "startColumn"], "additionalProperties": POSITION}
PHYSICAL = {
    "type": "object",
    "required": ["artifactLocation", "region"],
    "additionalProperties": False,
    "properties": {
        "artifactLocation": {"required": ["uri"], "properties": {"uri": {"type": "string", "format": "uri-reference"}}},
        "region": REGION,
    },
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "locations": {
            "type": "array",
            "items": {"required": ["physicalLocation"], "properties": {"physicalLocation": PHYSICAL}},
        },
    },
}
RULE = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "shortDescription": TEXT,
        "fullDescription": TEXT,
    },
}
DRIVER = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "rules": {"type": "array", "uniqueItems": True, "items": RULE},
    },
}
RUN = {
    "type": "object",
    "required": ["tool", "results"],
    "additionalProperties": False,
    "properties": {
        "tool": {"type": "object", "required": ["driver"], "properties": {"driver": DRIVER}},
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
    },
}
SARIF = {  # the part of the OASIS schema 2.1.0 that is used, with all that it requires there
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": RUN},
    },
}


def problem(message: str = "m", hint: str | None = None, file: str = "spec.yaml") -> Problem:
    return Problem(Code.UNKNOWN_KEY, message, Location(file, 3, 12), hint)


@pytest.fixture
def bad(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)
    workspace.spec(BAD)


@pytest.mark.usefixtures("bad")
def test_json_holds_every_problem_with_its_place(customspec: Run) -> None:
    ended = customspec("validate", "spec.yaml", "--format", "json")
    assert (ended.code, ended.err) == (2, "")
    (spec,) = ended.json
    assert spec["spec"] == "spec.yaml"
    assert [(one["code"], one["file"], one["line"], one["column"]) for one in spec["problems"]] == [
        ("CS201", "spec.yaml", 10, 22),
        ("CS204", "spec.yaml", 10, 52),
    ]
    assert spec["problems"][0]["hint"] == "did you mean `learning_rate`?"
    assert customspec("validate", "spec.yaml", "--json").json == ended.json


@pytest.mark.usefixtures("bad")
def test_github_gets_one_line_for_each_problem(customspec: Run) -> None:
    ended = customspec("validate", "spec.yaml", "--format", "github")
    assert (ended.code, ended.err) == (2, "")
    assert ended.out.splitlines() == [
        "::error file=spec.yaml,line=10,col=22,title=CS201::unknown key `lr` in technique `lora`"
        "%0Adid you mean `learning_rate`?",
        "::error file=spec.yaml,line=10,col=52,title=CS204::`r` must be at least 1; found 0"
        "%0Awrite a whole number from 1 to 4096, such as 8",
    ]


def test_nothing_in_a_problem_ends_a_command_of_github_or_begins_another() -> None:
    line = as_github(problem("50%\n::set-output name=a::b\r", "a,b: c", file="a,b:c%.yaml"))
    assert line == (
        "::error file=a%2Cb%3Ac%25.yaml,line=3,col=12,title=CS201::50%25\\n::set-output name=a::b\\r%0Aa,b: c"
    )


@pytest.mark.usefixtures("bad")
def test_sarif_is_of_the_shape_that_its_schema_asks_for(customspec: Run) -> None:
    ended = customspec("validate", "spec.yaml", "--format", "sarif")
    assert (ended.code, ended.err) == (2, "")
    jsonschema.validate(ended.json, SARIF)
    (run,) = ended.json["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in run["results"]] == ["CS201", "CS204"]
    assert [result["ruleId"] for result in run["results"]] == ["CS201", "CS204"]


@pytest.mark.usefixtures("bad")
def test_a_spec_that_is_right_is_an_empty_log(customspec: Run, workspace: Workspace) -> None:
    workspace.spec("techniques: [zero_shot]")
    sarif = customspec("validate", "spec.yaml", "--format", "sarif")
    jsonschema.validate(sarif.json, SARIF)
    assert (sarif.code, sarif.json["runs"][0]["results"]) == (0, [])
    assert customspec("validate", "spec.yaml", "--format", "github") == Ended(0, "", "")


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b/ü#1.yaml", "a%20b/%C3%BC%231.yaml"),
        ("../spec.yaml", "../spec.yaml"),
        ("/a b/c.yaml", "file:///a%20b/c.yaml"),
        ("caf\udce9.yaml", "caf%E9.yaml"),
        ("/caf\udce9.yaml", "file:///caf%E9.yaml"),
    ],
)
def test_sarif_names_files_by_uri(file: str, uri: str) -> None:
    (result,) = as_sarif([problem(file=file)], explanations())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_a_file_name_that_is_not_utf8_is_told_in_every_form(customspec: Run, workspace: Workspace, form: str) -> None:
    spec = workspace.spec("techniques: [lroa]").rename(workspace.root / "caf\udce9.yaml")
    ended = customspec("validate", spec, "--format", form)
    assert ended.code == 2, ended.err
    assert "CS301" in ended.out + ended.err


@pytest.mark.parametrize("command", ["plan", "run", "advise", "show"])
def test_a_path_that_no_plan_can_hold_is_refused(customspec: Run, workspace: Workspace, command: str) -> None:
    spec = workspace.spec("techniques: [zero_shot]").rename(workspace.root / "caf\udce9.yaml")
    ended = customspec(command, spec)
    assert ended.code == 2, ended.err
    assert "is not UTF-8, and no plan can hold it" in ended.err
    assert not (workspace.root / ".customspec" / "runs").exists()
