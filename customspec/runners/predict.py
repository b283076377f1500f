"""A run's candidate on new rows, with the very prompt, demonstrations and artifact that were evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from customspec.errors import UsageError
from customspec.inputs.encoding import TooLongError
from customspec.plan import Step
from customspec.prompts import Row, TemplateError
from customspec.runners.answers import answer, load_candidate, reserve_of
from customspec.runners.reopened import Reopened, check_there
from customspec.runners.work import encode_rows, settled, template_of


def predict(opened: Reopened, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One record per row, in order: its columns, `prediction`, and probabilities where there are choices.

    Raises UsageError for a row that the prompt cannot take, and for a candidate that the run does not have.
    """
    step = opened.evaluation()
    check_there(opened)
    if not rows:
        return []
    _check_columns(step, rows)
    work = opened.work
    params = settled(step, work)
    _, chat = work.header_and_chat
    try:
        encoded = encode_rows(params, tuple(rows), work, reserve=reserve_of(params, chat), answered=False)
    except TemplateError as error:
        place = rows[error.row].place if error.row is not None else "a row"
        raise UsageError(f"{place}: the prompt cannot be filled: {error}") from error
    except TooLongError as error:
        places = {row.id: row.place for row in rows}
        raise UsageError(f"{places[error.id]}: {error}".replace(f"row {error.id}", "it")) from error
    if not encoded.rows:
        return [{**row.fields, "prediction": None} for row in rows]
    opened.watcher.started(opened.does, len(rows))
    answers = answer(params, load_candidate(params, work), encoded.rows, chat, work)
    given = {row.example.id: record for row, record in zip(encoded.rows, answers.records, strict=True)}
    return [{**row.fields, **given.get(row.id, {"prediction": None})} for row in rows]


def _check_columns(step: Step, rows: Sequence[Row]) -> None:
    wanted = template_of(step.params).asks_for
    for row in rows:
        missing = sorted(wanted - set(row.fields))
        if missing:
            raise UsageError(f"{row.place}: the prompt needs the column `{missing[0]}`")
