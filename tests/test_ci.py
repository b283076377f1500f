"""What is shipped for continuous integration speaks of commands and options that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from customspec.cli import group
from support import Ended, Workspace

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / "docs" / "examples" / "github-workflow.yml"


def hook() -> dict[str, Any]:
    (found,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    return dict(found)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each customspec command in a shell script or a page."""
    for line in re.findall(r"customspec (?:validate|plan|run|report)[^\n`|>]*", text):
        yield shlex.split(line)[1:]


def test_the_hook_has_what_pre_commit_asks_for() -> None:
    assert {"id", "name", "entry", "language"} <= set(hook())
    assert (hook()["id"], hook()["language"]) == ("customspec-validate", "python")


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("specs/quickstart.yaml", True),
        ("team/specs/one.yml", True),
        ("intents.customspec.yaml", True),
        (".github/workflows/ci.yml", False),
        ("specs/data/rows.yaml", False),
        ("myspecs/one.yaml", False),
    ],
)
def test_the_hook_takes_specs_and_leaves_other_yaml_alone(path: str, chosen: bool) -> None:
    assert bool(re.search(hook()["files"], path)) is chosen


def test_the_hook_ends_with_2_on_a_wrong_spec(workspace: Workspace, customspec: Callable[..., Ended]) -> None:
    program, *arguments = hook()["entry"].split()
    right = workspace.spec("techniques: [zero_shot]")
    wrong = workspace.spec("techniques: [zero_shots]", name="wrong.yaml")
    assert program == "customspec"
    assert customspec(*arguments, right).code == 0
    ended = customspec(*arguments, right, wrong)
    assert ended.code == 2
    assert "wrong.yaml:" in ended.err


@pytest.mark.parametrize("file", [WORKFLOW, ROOT / "docs" / "ci.md"], ids=lambda path: path.name)
def test_every_command_and_option_that_is_named_exists(file: Path) -> None:
    found = list(commands(file.read_text()))
    assert len(found) >= 3
    for name, *words in found:
        command = group.get_command(click.Context(group), name)
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_workflow_validates_plans_runs_and_reports() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    scripts = "\n".join(step.get("run", "") for step in workflow["jobs"]["specs"]["steps"])
    assert [name for name, *_ in commands(scripts)] == ["validate", "plan", "run", "run", "report"]
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "${{" not in scripts, "an expression in a script can be made to run anything"
