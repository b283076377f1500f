"""A run's candidate on new rows, with the very prompt, demonstrations and artifact that were evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from customspec.errors import UsageError
from customspec.hookspecs import Progress
from customspec.inputs.encoding import TooLongError
from customspec.machine import Machine
from customspec.plan import Plan, Result, Step
from customspec.prompts import Row, TemplateError
from customspec.registry import Registry
from customspec.runners.answers import answer, load_candidate, reserve_of
from customspec.runners.execute import execute
from customspec.runners.results import artifact_of
from customspec.runners.work import Need, Work, encode_rows, located, template_of
from customspec.store import Store


@dataclass(frozen=True)
class Predictor:
    """Answers rows as one candidate of a run did."""

    plan: Plan
    key: str
    run: Path
    store: Store
    registry: Registry
    machine: Machine
    watcher: Progress

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """One record per row, in order: its columns, `prediction`, and probabilities where there are choices.

        Raises UsageError for a row that the prompt cannot take, and for a candidate that the run does not have.
        """
        if not rows:
            return []
        step = self._evaluation()
        _check_columns(step, rows)
        work = Work(self._needs(step), self.registry, self.machine, self.store.root, self._tell)
        params = located(step)
        _, chat = work.header_and_chat
        try:
            encoded = encode_rows(params, tuple(rows), work, reserve=reserve_of(params, chat), answered=False)
        except (TooLongError, TemplateError) as error:
            raise UsageError(str(error)) from error
        if not encoded.rows:
            return [{**row.fields, "prediction": None} for row in rows]
        self.watcher.started("predict", len(rows))
        answers = answer(params, load_candidate(params, work), encoded.rows, chat, work)
        given = {row.example.id: record for row, record in zip(encoded.rows, answers.records, strict=True)}
        return [{**row.fields, **given.get(row.id, {"prediction": None})} for row in rows]

    def _evaluation(self) -> Step:
        steps = [step for step in self.plan.steps if step.candidate == self.key and step.kind == "evaluate"]
        if not steps or not (self.run / artifact_of(self.key)).is_dir():
            there = ", ".join(candidate.key for candidate in self.plan.candidates)
            raise UsageError(f"this run has no artifact of {self.key}; its candidates: {there}")
        return steps[-1]

    def _needs(self, step: Step) -> dict[str, Need]:
        """The artifact from the run folder; model and data from the store, made again where they are gone."""
        needs: dict[str, Need] = {}
        for id in step.needs:
            needed = self.plan.step(id)
            if needed.kind == "train":
                result = Result(id, "", {}, self.run / artifact_of(self.key))
            else:
                given = {name: needs[name] for name in needed.needs}
                result, _ = execute(needed, given, self.store, self.registry, self.machine, self._tell)
            needs[id] = Need(needed, result)
        return needs

    def _tell(self, done: int, total: int | None, note: str, values: Mapping[str, float] | None = None) -> None:
        if total is not None:
            self.watcher.progress("predict", done, total, note, values)


def _check_columns(step: Step, rows: Sequence[Row]) -> None:
    wanted = template_of(step.params).asks_for
    for row in rows:
        missing = sorted(wanted - set(row.fields))
        if missing:
            raise UsageError(f"{row.place}: the prompt needs the column `{missing[0]}`")
