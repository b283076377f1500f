"""Watchers: what TensorBoard's and MLflow's own readers find after a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import (
    PLUGIN_NAME,
    SESSION_START_INFO_TAG,
    parse_session_start_info_plugin_data,
)

from customspec.registry import discover
from customspec_watchers.telling import numbers, parameters
from support import Ended, Workspace

Command = Callable[..., Ended]

TECHNIQUES = "techniques: [zero_shot, {lora: {r: 2, target_modules: [q_proj], max_steps: 3}}]"
PLAN = {
    "name": "colours",
    "spec_digest": "sha256:0",
    "steps": [{"id": "train:lora@0", "candidate": "lora@0", "params": {"technique": None, "prompting": None}}],
    "candidates": [{"key": "lora@0", "technique": "lora", "family": "tuning", "seed": 0}],
}
# MLflow's tables are declared as SQLAlchemy 2.0 has it
OLD = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no tracking server."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment that names a folder as its tracking server; that is quicker than a database."""
    uri = (tmp_path / "tracking").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of mine")
    return uri


def run(customspec: Command, *arguments: str | Path) -> Any:
    ended = customspec("run", *arguments, "--json")
    assert ended.code == 0, ended.err
    assert "switched off" not in ended.err
    return ended.json


def read_events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def trained(folder: Path) -> list[list[float]]:
    """The loss curve in the store's own words."""
    manifests = (folder.parent.parent / "objects").glob("*/*/manifest.json")
    results = [json.loads(manifest.read_text())["value"]["values"] for manifest in manifests]
    [losses] = [values["losses"] for values in results if "losses" in values]
    assert isinstance(losses, list)
    return losses


def test_tensorboard_shows_curves_metrics_and_costs(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TECHNIQUES, "cost: {requests_per_month: 1000, price_per_device_hour: 2.5}")
    document = run(customspec, spec, "--watch", "tensorboard")
    folder = workspace.run_folder(document)
    lora, zero = (read_events(folder / "tensorboard" / key) for key in ("lora@0", "zero_shot@0"))
    curve = [[event.step, pytest.approx(event.value)] for event in lora.Scalars("train/loss")]
    assert trained(folder) == curve
    assert len(lora.Scalars("train/learning_rate")) == 3
    for candidate, events in zip(document["candidates"], (zero, lora), strict=True):
        for name, value in numbers(candidate).items():
            assert [event.value for event in events.Scalars(name)] == [pytest.approx(value)]
    assert "train/loss" not in zero.Tags()["scalars"]
    assert {"test/accuracy", "cost/price/total"} <= set(zero.Tags()["scalars"])


def test_tensorboard_knows_the_options(workspace: Workspace, customspec: Command) -> None:
    document = run(customspec, workspace.spec(TECHNIQUES), "--watch", "tensorboard")
    events = read_events(workspace.run_folder(document) / "tensorboard" / "lora@0")
    content = events.PluginTagToContent(PLUGIN_NAME)[SESSION_START_INFO_TAG]
    options = parse_session_start_info_plugin_data(content).hparams
    assert options["technique"].string_value == "lora"
    assert options["seed"].number_value == 0
    assert options["lora.r"].number_value == 2
    assert options["lora.target_modules"].string_value == '["q_proj"]'


def test_a_run_from_the_store_shows_the_curve_too(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(TECHNIQUES)
    first = workspace.run_folder(run(customspec, spec))
    assert not (first / "tensorboard").exists()
    again = workspace.run_folder(run(customspec, spec, "--watch", "tensorboard"))
    events = read_events(again / "tensorboard" / "lora@0").Scalars("train/loss")
    assert trained(first) == [[event.step, pytest.approx(event.value)] for event in events]


def runs(client: MlflowClient, experiment: str) -> dict[str, Run]:
    """The runs of an experiment by name."""
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return {str(one.info.run_name): one for one in client.search_runs([found.experiment_id])}


@OLD
@pytest.mark.usefixtures("local")
def test_mlflow_has_a_parent_and_a_child_for_each_candidate(workspace: Workspace, customspec: Command) -> None:
    document = run(customspec, workspace.spec(TECHNIQUES), "--watch", "mlflow")
    folder = workspace.run_folder(document)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    found = runs(client, "colours")
    parent = found.pop(f"colours {document['run']}")
    assert parent.data.tags["customspec.chosen_key"] == document["decision"]["chosen_key"]
    assert parent.data.tags["customspec.spec_digest"] == document["spec_digest"]
    assert found.keys() == {"zero_shot@0", "lora@0"}
    for candidate in document["candidates"]:
        child = found[candidate["key"]]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        reached = {name: value for name, value in child.data.metrics.items() if not name.startswith("train/")}
        assert reached == pytest.approx(numbers(candidate))
    plan = json.loads((folder / "plan.json").read_text())
    assert found["lora@0"].data.params == {name: str(value) for name, value in parameters(plan, "lora@0").items()}
    assert {one.info.status for one in (parent, *found.values())} == {"FINISHED"}
    history = client.get_metric_history(found["lora@0"].info.run_id, "train/loss")
    assert [[one.step, one.value] for one in history] == trained(folder)
    assert not (workspace.root / "mlruns").exists()


def test_mlflow_goes_where_the_environment_says(workspace: Workspace, customspec: Command, store: str) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    documents = [run(customspec, spec, "--watch", "mlflow") for _ in range(2)]
    found = runs(MlflowClient(tracking_uri=store), "of mine")
    assert {f"colours {document['run']}" for document in documents} < found.keys()
    assert not (workspace.run_folder(documents[0]) / "mlflow").exists()


def test_a_run_cut_short_is_told_as_such(tmp_path: Path, store: str) -> None:
    watcher = discover().watcher("mlflow")
    watcher.run_started(PLAN, tmp_path)
    watcher.started("train:lora@0", None)
    watcher.progress("train:lora@0", 1, 3, "loss 1.000", {"loss": 1.0})
    watcher.run_finished(None)
    found = runs(MlflowClient(tracking_uri=store), "of mine")
    assert {name: one.info.status for name, one in found.items()} == {
        f"colours {tmp_path.name}": "KILLED",
        "lora@0": "KILLED",
    }


def test_failed_and_skipped_candidates_are_told_as_such(tmp_path: Path, store: str) -> None:
    ended = {"lora@0": "failed", "lora@1": "skipped"}
    rest = {"metrics": {"test": None}, "cost": {"train_seconds": 1.5, "artifact_bytes": None}}
    candidates = [{"key": key, "status": status, **rest} for key, status in ended.items()]
    watcher = discover().watcher("mlflow")
    watcher.run_started(PLAN, tmp_path)
    watcher.run_finished({"candidates": candidates, "decision": {"goal_met": False, "chosen": None, "reasons": ["a"]}})
    found = runs(MlflowClient(tracking_uri=store), "of mine")
    parent = found.pop(f"colours {tmp_path.name}")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["customspec.goal_met"] == "False"
    assert {name: one.info.status for name, one in found.items()} == {"lora@0": "FAILED"}
    assert found["lora@0"].data.metrics == {"cost/train_seconds": 1.5}


def test_looking_at_the_watchers_imports_neither() -> None:
    program = (
        "import sys\n"
        "from customspec.registry import check_extra, discover\n"
        "for name in discover().names('watcher'):\n"
        "    check_extra('watcher', discover().watcher(name))\n"
        "print(sorted({'mlflow', 'tensorboard', 'torch', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.usefixtures("store")
def test_mlflow_is_kept_from_reporting_its_use(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "asked = []\n"
        "sys.addaudithook(lambda event, args: asked.append(event) if event.startswith('socket.') else None)\n"
        "from customspec.registry import discover\n"
        "watcher = discover().watcher('mlflow')\n"
        "plan = {'name': 'a', 'spec_digest': '', 'steps': [], 'candidates': []}\n"
        f"watcher.run_started(plan, Path({str(tmp_path)!r}))\n"
        "watcher.run_finished(None)\n"
        "print(os.environ['MLFLOW_DISABLE_TELEMETRY'], {'socket.connect', 'socket.getaddrinfo'} & set(asked))"
    )
    # a test and a CI server are not asked for: here MLflow must not know that it is in one
    known = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS", "MLFLOW_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in known}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "true set()\n"
