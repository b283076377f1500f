"""A candidate's answers to encoded rows: the likeliest choice, or generated text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from customspec.containment import containing
from customspec.hookspecs import Decodes, Reads, Sampling, StandsAlone
from customspec.inputs.encoding import Encoded
from customspec.inputs.tokens import Chat
from customspec.runners.bases import load_base, placed
from customspec.runners.choice_scores import calibrated_scores, shares
from customspec.runners.work import Work, prompting_of
from customspec.spec import Calibration, PromptingOptions

if TYPE_CHECKING:
    from torch import nn

    from customspec.ml.generation import Generated


@dataclass(frozen=True, slots=True)
class Answers:
    """One record per row, in order, and the seconds that the model took."""

    records: tuple[dict[str, Any], ...]
    seconds: float
    notes: tuple[str, ...] = ()


def load_candidate(params: Mapping[str, Any], work: Work) -> nn.Module:
    """The base model, with the candidate's artifact where it trained one, ready to answer."""
    if params["technique"] is None:
        return load_base(params, work)
    technique, folder = work.registry.tuning(params["technique"]["name"]), work.need("train").result.folder
    bases, who = work.warm.bases, f"technique `{technique.name}`"
    if isinstance(technique, StandsAlone):
        bases.forget()
        return containing(technique.open_whole, who)(folder, *placed(work)).eval().requires_grad_(False)
    model = containing(technique.load, who)(load_base(params, work), folder).eval()
    bases.settle(model.requires_grad_(False))
    return model


def reserve_of(params: Mapping[str, Any], chat: Chat) -> int:
    """Tokens to keep free for an answer."""
    if params["generation"] is not None:
        return int(params["generation"]["max_new_tokens"])
    return max(len(chat.answer_ids(choice)) for choice in params["choices"])


def answer(params: Mapping[str, Any], model: nn.Module, rows: Sequence[Encoded], chat: Chat, work: Work) -> Answers:
    """Answer every row. A scored choice's record holds the probability of each choice, normalized over them."""
    from customspec.ml.lean_lora import lean_lora
    from customspec.ml.precision import computing

    began = time.monotonic()
    with computing(work.machine.device, work.machine.compute_dtype), lean_lora(model):
        if params["generation"] is None:
            _, options = prompting_of(params, work.registry)
            progress = _counter(work, rows)
            records, note = choose(params["choices"], model, rows, chat, calibrate=options.calibrate, progress=progress)
        else:
            records, note = _generate(params, model, rows, chat, work)
    return Answers(tuple(records), time.monotonic() - began, (note,) if note else ())


def _counter(work: Work, rows: Sequence[Encoded]) -> Callable[[int], None]:
    """A function that adds up the rows of each batch and reports the sum."""
    done = 0
    work.tell(done, len(rows), "")  # from here on the rate is counted

    def count(more: int) -> None:
        nonlocal done
        done = min(done + more, len(rows))  # rows without content, for calibration, are not counted
        work.tell(done, len(rows), "")

    return count


def choose(
    choices: Sequence[str],
    model: nn.Module,
    rows: Sequence[Encoded],
    chat: Chat,
    *,
    calibrate: Calibration,
    progress: Callable[[int], None],
) -> tuple[list[dict[str, Any]], str | None]:
    """Each row's likeliest choice, with what each choice scored; and a note where memory was short."""
    from customspec.ml.memory import within_memory
    from customspec.ml.scoring import score_choices

    texts = [chat.answer_ids(choice) for choice in choices]
    # rows without content stand beside the others: what all share is run once, and equal rows are one
    empty = list(dict.fromkeys(prompt for row in rows for prompt in row.empty))
    prompts = [*(row.prompt for row in rows), *empty]
    scores, note = within_memory(
        lambda budget: score_choices(
            model, prompts, texts, pad=chat.pad_id, tokens_per_batch=budget, progress=progress
        ),
        model,
    )
    without = dict(zip(empty, scores[len(rows) :], strict=True))
    lengths = [len(text) for text in texts]
    records = []
    for row, found in zip(rows, scores, strict=False):
        calibrated = calibrated_scores(calibrate, found, lengths, [without[prompt] for prompt in row.empty])
        records.append(_classified(choices, found, calibrated))
    return records, note


def _classified(choices: Sequence[str], scores: Sequence[float], calibrated: Sequence[float]) -> dict[str, Any]:
    # ties go to the first choice, whose order the spec or the alphabet gives: no order of rows decides
    prediction = choices[calibrated.index(max(calibrated))]
    return {
        "prediction": prediction,
        "probabilities": dict(zip(choices, shares(calibrated), strict=True)),
        "log_likelihoods": dict(zip(choices, scores, strict=True)),
    }


def _generate(
    params: Mapping[str, Any], model: nn.Module, rows: Sequence[Encoded], chat: Chat, work: Work
) -> tuple[list[dict[str, Any]], str | None]:
    technique, options = prompting_of(params, work.registry)
    sampling = technique.decoding(options) if isinstance(technique, Decodes) else None
    generated, note = generated_texts(params, model, rows, chat, work, sampling=sampling or Sampling())
    if isinstance(technique, Reads):
        return [_read(technique, options, samples, params["choices"]) for samples in generated], note
    records = [{"prediction": one.text, "tokens": one.tokens, "finished": one.finished} for one, *_ in generated]
    return records, note


def generated_texts(
    params: Mapping[str, Any],
    model: nn.Module,
    rows: Sequence[Encoded],
    chat: Chat,
    work: Work,
    *,
    sampling: Sampling,
) -> tuple[list[tuple[Generated, ...]], str | None]:
    """As many texts for each row as `sampling` says, cut off where the candidate's texts end; and a note where memory
    was short."""
    from customspec.ml.generation import sample
    from customspec.ml.memory import within_memory

    technique, options = prompting_of(params, work.registry)
    settings, progress = params["generation"], _counter(work, rows)
    stop = (*(settings["stop"] or ()), *chat.end_texts)
    if chat.template is None and not stop and technique is not None and technique.shots(options):
        stop = ("\n\n",)  # plain text has no end of turn: after a demonstration comes a blank line
    return within_memory(
        lambda budget: sample(
            model,
            [row.prompt for row in rows],
            sampling,
            seed=params["seed"],
            max_new_tokens=settings["max_new_tokens"],
            ends=chat.end_ids,
            decode=chat.decode,
            stop=stop,
            pad=chat.pad_id,
            tokens_per_batch=budget,
            progress=progress,
        ),
        model,
    )


def _read(
    technique: Reads, options: PromptingOptions, samples: Sequence[Generated], choices: Sequence[str] | None
) -> dict[str, Any]:
    texts = [sample.text for sample in samples]
    reading = technique.read(options, texts, choices)
    return {
        "prediction": reading.prediction,
        "samples": texts,
        "votes": dict(reading.votes),
        "tie": reading.tie,
        "unread": reading.unread,
        "tokens": sum(sample.tokens for sample in samples),
        "finished": all(sample.finished for sample in samples),
    }
