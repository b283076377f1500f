"""MLflow: a run as a parent run, each candidate as a child run, where the person's own environment says."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.hookspecs import Extra, Watcher, hookimpl
from customspec_watchers.telling import candidates_of, curve, numbers, parameters

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

LONGEST_PARAMETER = 6000  # characters; MLflow refuses more


class Mlflow:
    """Opens no connection but the one to `MLFLOW_TRACKING_URI`; without it, a database in the run's folder."""

    name = "mlflow"
    summary = (
        "Logs a parent run and one child run per candidate: options as parameters, loss, metrics and cost as metrics. "
        "Goes to MLFLOW_TRACKING_URI where the environment sets it, else to `mlflow/mlflow.db` in the run's folder; "
        "the experiment is MLFLOW_EXPERIMENT_NAME, or the spec's name."
    )
    extra = Extra(("mlflow", "sqlalchemy", "alembic"), "customspec[mlflow]")

    def __init__(self) -> None:
        self._plan: Mapping[str, Any] = {}
        self._candidates: Mapping[str, str] = {}
        self._client: MlflowClient | None = None
        self._parent: Run | None = None
        self._children: dict[str, str] = {}  # run ids by candidate

    def run_started(self, plan: Mapping[str, Any], folder: Path) -> None:
        self._plan, self._candidates = plan, candidates_of(plan)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or _local(folder / self.name)
        self._client = client = _client(uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or plan["name"]
        known = client.get_experiment_by_name(name)
        experiment = client.create_experiment(name) if known is None else known.experiment_id
        tags = {"customspec.run": folder.name, "customspec.spec_digest": plan["spec_digest"]}
        self._parent = client.create_run(experiment, run_name=f"{plan['name']} {folder.name}", tags=tags)

    def started(self, step: str, total: int | None) -> None:
        pass

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        if values:
            self._log(self._candidates[step], {f"train/{name}": value for name, value in values.items()}, done)

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        # what the store held was trained in another run; this one's curve would be empty
        for at, loss in curve(values or {}) if status == "cached" else ():
            self._log(self._candidates[step], {"train/loss": loss}, at)

    def run_finished(self, results: Mapping[str, Any] | None) -> None:
        assert self._client is not None
        assert self._parent is not None
        ended: dict[str, str] = {}
        for candidate in results["candidates"] if results else ():
            if candidate["status"] != "skipped":
                self._log(candidate["key"], numbers(candidate), 0)
                ended[candidate["key"]] = "FAILED" if candidate["status"] == "failed" else "FINISHED"
        for key, child in self._children.items():
            self._client.set_terminated(child, ended.get(key, "KILLED"))
        parent = self._parent.info.run_id
        for name, value in results["decision"].items() if results else ():
            if isinstance(value, str | bool):
                self._client.set_tag(parent, f"customspec.{name}", str(value))
        self._client.set_terminated(parent, "FINISHED" if results else "KILLED")

    def _log(self, key: str, values: Mapping[str, float], step: int) -> None:
        assert self._client is not None
        self._client.log_batch(self._child(key), metrics=_metrics(values, step))

    def _child(self, key: str) -> str:
        """The candidate's run; made, with its parameters, when there is something to say of it."""
        from mlflow.entities import Param

        assert self._client is not None
        assert self._parent is not None
        if key not in self._children:
            tags = {"mlflow.parentRunId": self._parent.info.run_id, "customspec.candidate": key}
            child = self._client.create_run(self._parent.info.experiment_id, run_name=key, tags=tags)
            self._children[key] = child.info.run_id
            found = parameters(self._plan, key).items()
            params = [Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in found]
            self._client.log_batch(child.info.run_id, params=params)
        return self._children[key]


def _local(folder: Path) -> str:
    folder.mkdir()
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def _client(uri: str) -> MlflowClient:
    # importing MLflow starts to report its use to its makers, unless the environment says otherwise
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _metrics(values: Mapping[str, float], step: int) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)  # milliseconds
    return [Metric(name, value, now, step) for name, value in values.items()]


@hookimpl
def customspec_watchers() -> Sequence[Watcher]:
    return [Mlflow()]
