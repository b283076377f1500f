"""A finished run, as it lies in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from customspec.inputs.documents import MOST, Prediction, read_document, read_plan, read_results
from customspec.inputs.regular import read_regular
from customspec.plan import Plan


@dataclass(frozen=True)
class Finished:
    """A run's plan, its results, and its evidence, which runs of older versions lack."""

    folder: Path
    plan: Plan
    results: Mapping[str, Any]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`prompt.json` of each candidate that was evaluated, by its key."""

    @property
    def name(self) -> str:
        return str(self.results["run"])

    @property
    def metric(self) -> str:
        """The metric that the decision rests on."""
        return self.plan.metrics[0]

    @property
    def candidates(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.results["candidates"])

    @property
    def chosen(self) -> str | None:
        key: str | None = self.results["decision"]["chosen_key"]
        return key

    def predictions(self, key: str, split: str) -> tuple[Prediction, ...]:
        """What the candidate answered, row by row; empty where it was not evaluated."""
        file = self.folder / "candidates" / key / "predictions" / split / "predictions.jsonl"
        if not file.is_file():
            return ()
        if not file.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"{file} is a link that leads out of the run's folder")
        lines = read_regular(file, MOST, follow=True).decode().split("\n")
        return tuple(json.loads(line) for line in lines if line)


def read_finished(folder: Path) -> Finished:
    """Raises OSError or ValueError for what is no run folder."""
    plan = read_plan(folder)
    results = read_results(folder, plan)
    evidence = folder / "evidence.json"
    kept = read_document(evidence) if evidence.exists() else {}
    asked = {one.key: folder / "candidates" / one.key / "prompt.json" for one in plan.candidates}
    prompts = {key: read_document(file) for key, file in asked.items() if file.exists()}
    return Finished(folder, plan, results, kept, prompts)
