"""Evaluate one candidate on one split: predictions, metrics with intervals, and what a request costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from customspec.decide.intervals import CONFIDENCE, interval_of
from customspec.decide.samples import Measure
from customspec.errors import StepError
from customspec.inputs.documents import Prediction
from customspec.inputs.encoding import Encoded
from customspec.inputs.splits import groups_of
from customspec.inputs.tokens import Chat
from customspec.plan import Step
from customspec.runners.answers import answer, load_candidate, reserve_of
from customspec.runners.bases import make_way
from customspec.runners.measure import measuring
from customspec.runners.metrics import Scoring
from customspec.runners.records import records_of, scored
from customspec.runners.rows import write_lines
from customspec.runners.samples import sample_of
from customspec.runners.work import Work, encode_rows, settled

if TYPE_CHECKING:
    from torch import nn

ALONE = 5  # rows that are answered one by one, to see how long a single request waits
ALONE_SECONDS = 2.0  # after which no further one begins


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes `predictions.jsonl`; the values are the metrics and the costs."""
    params, machine = settled(step, work), work.machine
    scorings = [Scoring.of(named, work.registry) for named in params["metrics"]]
    make_way(params, work)
    peak = measuring(machine.device, machine.torch_device)
    _, chat = work.header_and_chat
    queries = work.rows(params["split"])[: params["limit"]]
    encoded = encode_rows(params, queries, work, reserve=reserve_of(params, chat))
    if not encoded.rows:
        raise StepError(
            f"no {params['split']} row is left to evaluate: {len(encoded.dropped)} were dropped as too long"
        )
    work.tell(0, None, "loading the model")
    model, silent = load_candidate(params, work), work.silent
    if params["generation"] is None:
        # the first pass of a process is slow, and none of the cost
        answer(params, model, encoded.rows[:1], chat, silent)
    answers = answer(params, model, encoded.rows, chat, work)
    records = scored(records_of(answers, encoded.rows, scorings, model, work), scorings)
    write_lines(folder / "predictions.jsonl", records)
    groups = None if params["group"] is None else groups_of(queries, params["group"])
    return {
        "metrics": {scoring.id: metric_json(scoring, records, groups) for scoring in scorings},
        "rows": len(records),
        "evaluate_seconds": answers.seconds,
        "rows_per_second": len(records) / answers.seconds,
        "latency_seconds": _latency(params, model, encoded.rows, chat, silent) if params["split"] == "test" else None,
        "prompt_tokens_per_example": fmean(len(row.prompt) for row in encoded.rows),
        "peak_memory_bytes": peak(),
        "notes": list(answers.notes),
        "dropped": list(encoded.dropped),
        "cut": list(encoded.cut),
    }


def _latency(params: Mapping[str, Any], model: nn.Module, rows: Sequence[Encoded], chat: Chat, work: Work) -> float:
    """Seconds of a request that comes alone: the median over some rows."""
    taken: list[float] = []
    for row in rows[:ALONE]:
        taken.append(answer(params, model, [row], chat, work).seconds)
        if sum(taken) > ALONE_SECONDS:
            break
    return median(taken)


def metric_json(
    scoring: Scoring, records: Sequence[Prediction], groups: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The metric with its interval: Wilson's for a proportion over rows, else BCa over rows or groups."""
    sample = sample_of(scoring, records, groups)
    if not isfinite(sample.value):
        raise StepError(f"metric `{scoring.id}` is not a finite number over {sample.n} answers: {sample.value}")
    interval = interval_of(sample, Measure.of(scoring.metric, scoring.id))
    return {"value": sample.value, "ci": [interval.low, interval.high], "confidence": CONFIDENCE, "n": sample.n}
