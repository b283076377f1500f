"""Predictions as samples for the statistics. The one place that asks a metric for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from customspec.decide.samples import Sample
from customspec.hookspecs import Metric

Record = Mapping[str, Any]
"""A line of `predictions.jsonl`."""


def sample_of(metric: Metric, records: Sequence[Record], groups: Sequence[str] | None = None) -> Sample:
    """One candidate's answers to one split's rows; `groups` has each row's group, in the records' order."""
    return Sample(
        ids=tuple(record["id"] for record in records),
        records=records,
        score=lambda some: set_score(metric, some),
        rows=row_scores(metric, records),
        groups=None if groups is None else tuple(groups),
    )


def set_score(metric: Metric, records: Sequence[Record]) -> float:
    """The metric over all the records."""
    return metric.score([record["prediction"] for record in records], [record["answer"] for record in records])


def row_scores(metric: Metric, records: Sequence[Record]) -> tuple[float, ...] | None:
    """Each row's own score, where the metric is their mean; None where only whole sets have a score."""
    if not metric.proportion:
        return None
    return tuple(set_score(metric, [record]) for record in records)
