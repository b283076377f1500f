"""Other people's wheels beside customspec's own, in another environment: used alike, and named when they break."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from support import Workspace
from wheels.environment import ROOT, Environment, build, one_module

pytestmark = pytest.mark.slow

BREAKS_IN_A_STEP = """
    from customspec.hookspecs import hookimpl
    from customspec.spec import TrainingOptions

    class Breaks:
        name, family, summary, options = "breaks", "tuning", "Raises in the middle of a step.", TrainingOptions

        def recipe(self, options, model, rows):
            return {"learning_rate": 1e-3, "num_train_epochs": 1.0, "per_device_train_batch_size": 8}

        def refusal(self, options, model):
            return None

        def trainable_parameters(self, options, model):
            return 1

        def adapt(self, options, model, *task):
            raise SystemExit("no licence for this machine")

        def save(self, model, folder):
            raise NotImplementedError

        def load(self, model, folder):
            raise NotImplementedError

    @hookimpl
    def customspec_techniques():
        return [Breaks()]
"""
# distribution, version, entry point, module
OTHERS = (
    ("acme-clash", "0.3", "one_shot", "raise RuntimeError('a clash is seen before anything is imported')"),
    ("acme-import", "0.4", "unimportable", "import no_such_module_at_all"),
    ("acme-old", "0.5", "old", "CUSTOMSPEC_CONTRACT = 99"),
    ("acme-breaks", "0.6", "breaks", BREAKS_IN_A_STEP),
)
SPEC = """\
customspec: 1
name: colours
base_model: {path: model}
data: {train: train.jsonl, validation: validation.jsonl, test: test.jsonl}
prompt: {user: "{{ text }}", answer: "{{ label }}", choices: from_data}
metrics: [accuracy, first_letter]
"""


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """customspec's wheel, one plugin that works, and four that don't."""
    root = tmp_path_factory.mktemp("abroad")
    projects = [ROOT, ROOT / "tests" / "wheels" / "steering"]
    projects += [one_module(root / d, d, entry, source, version) for d, version, entry, source in OTHERS]
    return Environment.create(root / "environment", [build(project, root / "wheels") for project in projects])


@pytest.fixture
def customspec(abroad: Environment, workspace: Workspace) -> Customspec:
    return Customspec(abroad, workspace)


class Customspec:
    """The command of that environment, on specs in the workspace."""

    def __init__(self, abroad: Environment, workspace: Workspace) -> None:
        self.abroad = abroad
        self.workspace = workspace

    def __call__(self, *arguments: str, techniques: str = "[zero_shot]") -> CompletedProcess[str]:
        self.workspace.write("spec.yaml", f"{SPEC}techniques: {techniques}\n")
        return self.abroad.run("customspec", *arguments, cwd=self.workspace.root)


def candidates(ended: CompletedProcess[str]) -> Mapping[str, Mapping[str, object]]:
    assert "Traceback" not in ended.stderr
    return {candidate["id"]: candidate for candidate in json.loads(ended.stdout)["candidates"]}


def test_customspec_itself_comes_from_its_wheel(abroad: Environment) -> None:
    program = "import customspec, customspec_tuning; print(customspec.__file__, customspec_tuning.__file__, sep='\\n')"
    places = abroad.run("python", "-P", "-c", program).stdout.splitlines()
    assert len(places) == 2
    assert all(Path(place).is_relative_to(abroad.root) for place in places)


def test_a_technique_and_a_metric_of_another_wheel_run_while_a_third_raises_in_the_middle_of_its_step(
    customspec: Customspec,
) -> None:
    ended = customspec("run", "spec.yaml", "--json", techniques="[zero_shot, {steering: {scale: 2.0}}, breaks]")
    assert ended.returncode == 1
    found = candidates(ended)
    assert {id: candidate["status"] for id, candidate in found.items()} == {
        "zero_shot": "done",
        "steering": "done",
        "breaks": "failed",
    }
    steering = found["steering"]
    assert steering["cost"]["trainable_parameters"] == 32  # type: ignore[index]
    assert 0 <= steering["metrics"]["test"]["first_letter"]["value"] <= 1  # type: ignore[index]
    cause = "plugin acme-breaks 0.6: technique `breaks`: SystemExit: no licence for this machine"
    assert found["breaks"]["reason"] == f"train:breaks@0: {cause}"


@pytest.mark.parametrize(
    ("technique", "problem"),
    [
        ("one_shot", "CS602 technique `one_shot` is offered by acme-clash 0.3 and customspec "),
        (
            "unimportable",
            "CS601 plugin acme-import 0.4 cannot be imported (acme_import): "
            "ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        ("old", "CS603 plugin acme-old 0.5 needs contract 99; this customspec speaks 1"),
    ],
)
def test_an_unusable_wheel_is_named_with_version_and_cause(
    customspec: Customspec, technique: str, problem: str
) -> None:
    ended = customspec("validate", "spec.yaml", techniques=f"[zero_shot, {technique}]")
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"spec.yaml:7:25: {problem}")
    assert ended.stderr.endswith("1 problem in spec.yaml\n")


def test_a_spec_that_needs_none_of_the_broken_wheels_is_valid(customspec: Customspec) -> None:
    ended = customspec("validate", "spec.yaml", techniques="[zero_shot, few_shot, lora, steering]")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_options_of_another_wheel_are_in_the_schema_in_suggestions_and_in_its_description(
    customspec: Customspec,
) -> None:
    schema = json.loads(customspec("schema").stdout)
    assert schema["$defs"]["SteeringOptions"]["properties"]["scale"]["maximum"] == 100
    mistyped = customspec("validate", "spec.yaml", techniques="[{steering: {scael: 2.0}}]")
    assert mistyped.returncode == 2
    assert "did you mean `scale`?" in mistyped.stderr
    described = customspec("techniques", "steering").stdout
    assert described.startswith("steering (tuning), from acme-steering 1.2.3\n")
    assert "scale: number = 1.0 (above 0, at most 100)\n      What the vector is multiplied with." in described


def test_the_suite_passes_on_the_wheel_that_works_and_names_those_that_do_not(customspec: Customspec) -> None:
    good = customspec(
        "plugin", "check", "acme-steering", "--architecture", "llama", "--architecture", "mamba", "--json"
    )
    assert good.returncode == 0, good.stdout
    names = [(plugin["kind"], plugin["name"], plugin["version"]) for plugin in json.loads(good.stdout)]
    assert sorted(names) == [("metric", "first_letter", "1.2.3"), ("technique", "steering", "1.2.3")]
    bad = customspec("plugin", "check", "unimportable", "acme-old")
    assert bad.returncode == 4
    assert "plugin acme-import 0.4 cannot be imported" in bad.stdout
    assert "plugin acme-old 0.5 needs contract 99" in bad.stdout


def test_plugin_new_writes_from_the_wheel_and_refuses_a_name_that_another_wheel_has(customspec: Customspec) -> None:
    assert customspec("plugin", "new", "acme_idea", "--family", "prompting").returncode == 0
    assert (customspec.workspace.root / "customspec-acme-idea" / "pyproject.toml").is_file()
    taken = customspec("plugin", "new", "steering", "--family", "tuning")
    assert taken.returncode == 2
    assert "technique `steering` is already offered by acme-steering 1.2.3" in taken.stderr
