"""How likely the right answers are, for the metrics that ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from customspec.errors import StepError
from customspec.inputs.encoding import Encoded
from customspec.runners.work import Work

if TYPE_CHECKING:
    from torch import nn


def with_likelihood(
    records: Sequence[Mapping[str, Any]], model: nn.Module, rows: Sequence[Encoded], work: Work
) -> list[dict[str, Any]]:
    """The records with `answer_log_likelihood` (natural, summed over the tokens) and `answer_tokens`.

    Raises StepError for a row that with its answer is longer than the context, and for a likelihood that is not finite.
    """
    from customspec.ml.lean_lora import lean_lora
    from customspec.ml.likelihood import score_references
    from customspec.ml.memory import within_memory
    from customspec.ml.precision import computing

    header, chat = work.header_and_chat
    for row in rows:
        tokens = len(row.prompt) + len(row.answer)
        if tokens > header.context_length:
            raise StepError(
                f"row {row.example.id} needs {tokens} tokens with its answer; the context holds {header.context_length}"
            )
    work.tell(0, None, "likelihood of the answers")
    with computing(work.machine.device, work.machine.compute_dtype), lean_lora(model):
        prompts, answers = [row.prompt for row in rows], [row.answer for row in rows]
        found, _ = within_memory(
            lambda budget: score_references(model, prompts, answers, pad=chat.pad_id, tokens_per_batch=budget), model
        )
    for row, likelihood in zip(rows, found, strict=True):
        if not isfinite(likelihood):
            raise StepError(f"the log-likelihood of the answer of row {row.example.id} is {likelihood}")
    return [
        {**record, "answer_log_likelihood": likelihood, "answer_tokens": len(row.answer)}
        for record, row, likelihood in zip(records, rows, found, strict=True)
    ]
