"""Predictions as samples for the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from customspec.decide.samples import Sample
from customspec.hookspecs import Answer
from customspec.inputs.documents import Prediction
from customspec.runners.metrics import Scoring, answers_of


def sample_of(scoring: Scoring, records: Sequence[Prediction], groups: Mapping[str, str] | None = None) -> Sample:
    """One candidate's answers to one split's rows; `groups` has each row's group, by the row's id."""
    answers = answers_of(records)
    return Sample(
        ids=tuple(record["id"] for record in records),
        records=answers,
        score=scoring.score,
        rows=row_scores(scoring, answers),
        groups=None if groups is None else tuple(groups[record["id"]] for record in records),
        totals=scoring.totals,
    )


def row_scores(scoring: Scoring, answers: Sequence[Answer]) -> tuple[float, ...] | None:
    """Each row's own score, where the metric is their mean; None where only whole sets have a score."""
    rows = scoring.rows(answers)
    if rows is None and scoring.metric.proportion:
        return tuple(scoring.score([answer]) for answer in answers)
    return rows
