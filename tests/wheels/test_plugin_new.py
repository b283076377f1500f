"""What `customspec plugin new` writes builds, installs beside customspec's wheel, and passes its own tests."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support import Ended, long_form_of
from wheels.environment import ROOT, Environment, build

Command = Callable[..., Ended]
FAMILIES = ("prompting", "tuning")


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_distribution_is_written(customspec: Command, tmp_path: Path, family: str) -> None:
    ended = customspec("plugin", "new", "acme_idea", "--family", family, "--dir", tmp_path / "idea")
    assert ended.code == 0
    assert ended.out.startswith(f"wrote {tmp_path / 'idea'}\n")
    package = "src/customspec_acme_idea"
    assert written(tmp_path / "idea") == {
        ".github/workflows/test.yaml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        f"{package}/__init__.py",
        f"{package}/py.typed",
        f"{package}/technique.py",
        "tests/test_technique.py",
    }
    project = tomllib.loads((tmp_path / "idea" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "customspec-acme-idea"
    assert project["entry-points"]["customspec"] == {"acme_idea": "customspec_acme_idea.technique"}
    workflow = yaml.safe_load((tmp_path / "idea" / ".github/workflows/test.yaml").read_text())
    assert workflow["jobs"]["test"]["steps"][-1]["run"] == "customspec plugin check acme_idea"


def test_without_a_folder_the_distributions_name_is_the_folder(
    customspec: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    customspec("plugin", "new", "my_idea", "--family", "prompting")
    assert [path.name for path in tmp_path.iterdir()] == ["customspec-my-idea"]


def test_nothing_is_written_over(customspec: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ended = customspec("plugin", "new", "my_idea", "--family", "tuning", "--dir", tmp_path)
    assert (ended.code, ended.err) == (2, f"error: {tmp_path} exists already and is not empty; nothing was written\n")
    assert written(tmp_path) == {"notes.txt"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MyIdea", "did you mean `my_idea`?"),
        ("my-idea", "did you mean `my_idea`?"),
        ("1st_idea", "did you mean `st_idea`?"),
        ("..", "`..` cannot name a technique: lower-case words joined by `_`, and no keyword\n"),
        ("lambda", "`lambda` cannot name a technique"),
        ("seeds", "`seeds` is a key of a spec's entries"),
        ("lora", "technique `lora` is already offered by customspec "),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(customspec: Command, tmp_path: Path, name: str, message: str) -> None:
    ended = customspec("plugin", "new", name, "--family", "tuning", "--dir", tmp_path / "new")
    assert ended.code == 2
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A new plugin of each family."""
    from customspec.cli.commands.plugin_new import new

    root = tmp_path_factory.mktemp("projects")
    for family in FAMILIES:
        new.callback(f"acme_{family}", family, root / family)  # type: ignore[misc]
    return {family: root / family for family in FAMILIES}


@pytest.fixture(scope="module")
def abroad(projects: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with customspec's wheel and those of the new plugins."""
    root = tmp_path_factory.mktemp("abroad")
    wheels = [build(project, root / "wheels") for project in (ROOT, *projects.values())]
    return Environment.create(root / "environment", wheels)


@pytest.mark.slow
@pytest.mark.parametrize("family", long_form_of(FAMILIES, lambda family: family == "tuning"))
def test_its_tests_pass_as_written(abroad: Environment, projects: dict[str, Path], family: str) -> None:
    ended = abroad.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-q", cwd=projects[family])
    assert ended.returncode == 0, ended.stdout
    assert "test_the_contract_is_kept" not in ended.stdout
    installed = abroad.run("customspec", "techniques", f"acme_{family}", "--json")
    assert json.loads(installed.stdout)["distribution"] == f"customspec-acme-{family}"
