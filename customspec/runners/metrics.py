"""Metrics with their options, as a step's parameters name them, applied to the records of `predictions.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from customspec.decide.samples import Totals
from customspec.hookspecs import Answer, Metric, NeedsLikelihood, ScoresRows, ScoresTotals
from customspec.inputs.documents import Prediction
from customspec.registry import Registry, check_extra, metric_options
from customspec.spec import Options


@dataclass(frozen=True)
class Scoring:
    """A metric, its options, and the id under which it is reported."""

    id: str
    metric: Metric
    options: Options

    @classmethod
    def of(cls, named: Mapping[str, Any], registry: Registry) -> Scoring:
        """From what the plan says. Raises PluginError where the metric cannot be used here."""
        metric = registry.metric(named["name"])
        check_extra("metric", metric)
        return cls(named["id"], metric, metric_options(metric).model_validate(named["options"]))

    @property
    def needs_likelihood(self) -> bool:
        return isinstance(self.metric, NeedsLikelihood) and self.metric.needs_likelihood

    def score(self, answers: Sequence[Answer]) -> float:
        """The metric over all the answers."""
        return float(self.metric.score(self.options, answers))

    def rows(self, answers: Sequence[Answer]) -> tuple[float, ...] | None:
        """Each answer's own number, where the metric is their mean; None where only whole sets have a score."""
        if not isinstance(self.metric, ScoresRows):
            return None
        return tuple(map(float, self.metric.rows(self.options, answers)))

    @property
    def totals(self) -> Callable[[Sequence[Answer]], Totals] | None:
        """Makes the parts of answers, where the metric is a function of their totals; else None."""
        metric = self.metric
        if not isinstance(metric, ScoresTotals):
            return None
        return lambda answers: Totals(metric.parts(self.options, answers), partial(metric.of_totals, self.options))


def answers_of(records: Sequence[Prediction]) -> list[Answer]:
    """The records as metrics see them."""
    return [
        Answer(record["prediction"], record["answer"], record.get("answer_log_likelihood"), record.get("answer_tokens"))
        for record in records
    ]
