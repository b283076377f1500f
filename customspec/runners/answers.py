"""A candidate's answers to encoded rows: the likeliest choice, or generated text."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from customspec.inputs.encoding import Encoded
from customspec.inputs.tokens import Chat
from customspec.runners.work import Work

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Answers:
    """One record per row, in order, and the seconds that the model took."""

    records: tuple[dict[str, Any], ...]
    seconds: float


def load_candidate(params: Mapping[str, Any], work: Work) -> nn.Module:
    """The base model, with the candidate's artifact where it trained one, ready to answer."""
    from customspec.ml.models import DTYPES, load_model

    base = load_model(work.model_folder(), DTYPES[work.machine.compute_dtype], work.machine.torch_device)
    if params["technique"] is None:
        return base
    technique = work.registry.tuning(params["technique"]["name"])
    return technique.load(base, work.need("train").result.folder).eval()


def reserve_of(params: Mapping[str, Any], chat: Chat) -> int:
    """Tokens to keep free for an answer."""
    if params["choices"] is not None:
        return max(len(chat.answer_ids(choice)) for choice in params["choices"])
    return int(params["generation"]["max_new_tokens"])


def answer(params: Mapping[str, Any], model: nn.Module, rows: Sequence[Encoded], chat: Chat, work: Work) -> Answers:
    """Answer every row. A classification's record holds the probability of each choice, normalized over them."""
    from customspec.ml.precision import computing

    began = time.monotonic()
    count = _counter(work, rows)
    with computing(work.machine.device, work.machine.compute_dtype):
        if params["choices"] is not None:
            records = _choose(params, model, rows, chat, count)
        else:
            records = _generate(params, model, rows, chat, count, shots=_shots(params, work))
    return Answers(tuple(records), time.monotonic() - began)


def _counter(work: Work, rows: Sequence[Encoded]) -> Callable[[int], None]:
    """Adds up the rows of each batch, and tells."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        work.tell(done, len(rows), "rows")

    return count


def _choose(params: Mapping[str, Any], model: Any, rows: Sequence[Encoded], chat: Chat, progress: Any) -> list[Any]:
    from customspec.ml.scoring import score_choices

    choices = params["choices"]
    scores = score_choices(
        model,
        [row.prompt for row in rows],
        [chat.answer_ids(choice) for choice in choices],
        pad=chat.pad_id,
        progress=progress,
    )
    return [_classified(choices, row_scores) for row_scores in scores]


def _classified(choices: Sequence[str], scores: Sequence[float]) -> dict[str, Any]:
    best = max(scores)
    weights = [math.exp(score - best) for score in scores]
    shares = [weight / sum(weights) for weight in weights]
    # ties go to the first choice, whose order the spec or the alphabet gives: no order of rows decides
    prediction = choices[scores.index(best)]
    return {
        "prediction": prediction,
        "probabilities": dict(zip(choices, shares, strict=True)),
        "log_likelihoods": dict(zip(choices, scores, strict=True)),
    }


def _shots(params: Mapping[str, Any], work: Work) -> int:
    prompting = params["prompting"]
    if prompting is None:
        return 0
    technique = work.registry.prompting(prompting["name"])
    return technique.shots(technique.options.model_validate(prompting["options"]))


def _generate(
    params: Mapping[str, Any], model: Any, rows: Sequence[Encoded], chat: Chat, progress: Any, *, shots: int
) -> list[Any]:
    from customspec.ml.generation import generate

    settings = params["generation"]
    stop = (*(settings["stop"] or ()), *chat.end_texts)
    if chat.template is None and not stop and shots:
        stop = ("\n\n",)  # plain text has no end of turn: after a demonstration comes a blank line
    generated = generate(
        model,
        [row.prompt for row in rows],
        max_new_tokens=settings["max_new_tokens"],
        ends=chat.end_ids,
        decode=chat.decode,
        stop=stop,
        pad=chat.pad_id,
        progress=progress,
    )
    return [{"prediction": one.text, "tokens": one.tokens, "finished": one.finished} for one in generated]
