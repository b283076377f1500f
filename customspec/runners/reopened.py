"""A candidate of a finished run, opened again: the very prompt, demonstrations and artifact that were evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from customspec.errors import MachineError, RefusedError, UsageError
from customspec.hookspecs import Progress, ReadsFiles
from customspec.inputs.digests import has_digest
from customspec.inputs.documents import read_document
from customspec.inputs.paths import PathError, Roots, check_tree
from customspec.inputs.regular import read_regular
from customspec.machine import Machine
from customspec.plan import Candidate, Plan, Result, Step
from customspec.registry import Registry
from customspec.runners.execute import execute, find
from customspec.runners.places import check_data, check_files, check_model
from customspec.runners.results import artifact_of
from customspec.runners.work import FINDING, Host, Need, Work, prompting_of, settled, with_found
from customspec.store import Store

PROMPT = "prompt.json"


@dataclass(frozen=True)
class Reopened:
    """One candidate of a run, with all that it takes to use it. Progress is told to `watcher` as the step `does`."""

    plan: Plan
    key: str
    run: Path
    store: Store
    registry: Registry
    machine: Machine
    watcher: Progress
    does: str
    roots: Roots
    """Where its plan may lead."""

    @property
    def candidate(self) -> Candidate:
        return next(candidate for candidate in self.plan.candidates if candidate.key == self.key)

    @property
    def artifact(self) -> Path:
        """The candidate's folder in the run folder; see `check_there`."""
        return self.run / artifact_of(self.key)

    def evaluation(self, split: str | None = None) -> Step:
        """How the candidate answered a split's rows: the named one's, where the run has it, else the last one's."""
        steps = [step for step in self.plan.steps if step.candidate == self.key and step.kind == "evaluate"]
        if not steps:
            raise UsageError(f"this run never evaluates {self.key}")
        return next((step for step in steps if step.params["split"] == split), steps[-1])

    @cached_property
    def work(self) -> Work:
        """What every evaluation of the candidate stands on: the artifact from the run folder; model and data from the
        store, made again where they are gone."""
        needs: dict[str, Need] = {}
        for id in self.evaluation().needs:
            needed = self.plan.step(id)
            if needed.kind == "train":
                result = Result(id, "", {}, self.artifact)
            elif needed.kind in FINDING:
                result = self._found(needed)
            else:
                self._check(needed)
                given = {name: needs[name] for name in needed.needs}
                result, _ = execute(needed, given, Host(self.store, self.registry, self.machine), self._tell)
            needs[id] = Need(needed, result)
        work = Work(needs, self.registry, self.machine, self.store.root, self._tell)
        technique, options = prompting_of(settled(self.evaluation(), work), self.registry)
        if isinstance(technique, ReadsFiles):
            check_files(technique.files(options).values(), self.roots)
        return work

    def params_as_found(self, step: Step) -> Mapping[str, Any]:
        """A step's parameters with the options that were found for the candidate; files stand there by digest."""
        rests = {id for own in self.plan.steps if own.candidate == self.key for id in own.needs}
        finding = [one for one in self.plan.steps if one.id in rests and one.kind in FINDING]
        return with_found(step.params, [Need(one, self._found(one)) for one in finding])

    def _found(self, step: Step) -> Result:
        """What a step found, from the candidate's folder."""
        file = self.artifact / f"{step.kind}.json"
        try:
            values = json.loads(read_regular(file))
            if not isinstance(values["options"], dict):
                raise ValueError("its options are none")
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise UsageError(f"{file} is not what was found: {error}") from error
        return Result(step.id, "", values, self.artifact)

    def _check(self, step: Step) -> None:
        """Raises RefusedError where the step would open files elsewhere."""
        if step.kind == "model":
            check_model(step, self.roots)
        elif step.kind == "data" and find(step, self.store, self.machine) is None:
            check_data(step, self.roots)

    def _tell(self, done: int, total: int | None, note: str, values: Mapping[str, float] | None = None) -> None:
        if total is not None:
            self.watcher.progress(self.does, done, total, note, values)


def check_there(opened: Reopened) -> None:
    """Raises UsageError where the run has nothing of the candidate: it failed, was skipped, or its folder is gone;
    MachineError where its technique is not installed; RefusedError where the folder holds more than files, or one that
    has changed since the run."""
    if not opened.artifact.is_dir():
        keys = [candidate.key for candidate in opened.plan.candidates]
        there = [key for key in keys if (opened.run / artifact_of(key)).is_dir()]
        raise UsageError(f"this run has no artifact of {opened.key}; it has those of: {', '.join(there) or 'none'}")
    _check_installed(opened)
    try:
        check_tree(opened.artifact, Roots.of(opened.run))
    except PathError as error:
        raise RefusedError(f"the artifact of {opened.key} is not opened: {error}") from error
    _check_unchanged(opened)


def _check_installed(opened: Reopened) -> None:
    own = [step.params for step in opened.plan.steps if step.candidate == opened.key]
    for named in (params[part] for params in own for part in ("prompting", "technique") if params.get(part)):
        if ("technique", named["name"]) not in opened.registry.offers:
            plugin = f"{named['distribution']} {named['version']}"
            raise MachineError(f"technique `{named['name']}` is not installed here; this run had it from {plugin}")


def _check_unchanged(opened: Reopened) -> None:
    artifact = opened.artifact
    files = {path.relative_to(artifact).as_posix(): path for path in artifact.rglob("*") if path.is_file()}
    for name, digest in _digests(artifact / PROMPT).items():
        if name not in files or not has_digest(files[name], digest):
            raise RefusedError(f"the artifact of {opened.key} is not opened: {name} has changed since the run")


def _digests(prompt: Path) -> dict[str, str]:
    """What the run says of the files: nothing in older runs. Raises UsageError for what no run has written."""
    try:
        document = read_document(prompt)
        return {str(name): str(digest) for name, digest in document.get("files", {}).items()}
    except FileNotFoundError:
        return {}
    except (OSError, AttributeError, ValueError) as error:
        raise UsageError(f"{prompt}: {error}") from error
