"""A candidate's answers as the lines of `predictions.jsonl`: what metrics score, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from customspec.inputs.encoding import Encoded
from customspec.runners.answers import Answers
from customspec.runners.likelihood import with_likelihood
from customspec.runners.metrics import Scoring, answers_of
from customspec.runners.samples import row_scores
from customspec.runners.work import Work

if TYPE_CHECKING:
    from torch import nn


def records_of(
    answers: Answers, rows: Sequence[Encoded], scorings: Sequence[Scoring], model: nn.Module, work: Work
) -> list[dict[str, Any]]:
    """One record per row: its id, the right answer, the given one, and its likelihood where a metric asks for it."""
    records = [_record(row, given) for row, given in zip(rows, answers.records, strict=True)]
    if any(scoring.needs_likelihood for scoring in scorings):
        return with_likelihood(records, model, rows, work)
    return records


def scored(records: Sequence[Mapping[str, Any]], scorings: Sequence[Scoring]) -> list[dict[str, Any]]:
    """The records with `scores`: what each row is worth by each metric that knows rows, and not whole sets alone."""
    answers = answers_of(records)
    by_metric = {scoring.id: row_scores(scoring, answers) for scoring in scorings}
    known = {id: scores for id, scores in by_metric.items() if scores is not None}
    return [
        {**record, "scores": {id: scores[row] for id, scores in known.items()}} for row, record in enumerate(records)
    ]


def _record(row: Encoded, given: Mapping[str, Any]) -> dict[str, Any]:
    reference = row.example.answer
    return {"id": row.example.id, "answer": reference, "correct": given["prediction"] == reference, **given}
