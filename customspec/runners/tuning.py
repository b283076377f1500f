"""A tuning technique joined to the training loop: what it may see, what it adds, how its best state is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from customspec.compiler.judging import own_texts
from customspec.containment import contained, containing
from customspec.estimate import comparisons, evaluation_interval
from customspec.header import ModelHeader
from customspec.hookspecs import (
    Consulting,
    Judging,
    Optimizing,
    Penalizing,
    Remembering,
    Stepping,
    Task,
    TuningTechnique,
)
from customspec.inputs.encoding import Encoded
from customspec.inputs.splitting import nested
from customspec.runners.answers import answer, reserve_of
from customspec.runners.artifact import Artifact
from customspec.runners.metrics import Scoring, answers_of
from customspec.runners.records import records_of
from customspec.runners.work import Work, encode_rows, template_of
from customspec.spec import TrainingOptions
from customspec.store import Checkpoints

if TYPE_CHECKING:
    from torch import nn

    from customspec.ml.checkpointing import Checkpointing
    from customspec.ml.objective import Objective
    from customspec.ml.selection import Selection
    from customspec.ml.training import Extras


def task_of(
    rows: Sequence[Encoded], encode: Callable[[str], Sequence[int]], choices: Sequence[str] | None, steps: int
) -> Task:
    """What the technique may look at."""
    return Task(
        rows=[(row.prompt, row.answer) for row in rows],
        encode=encode,
        instruction=rows[0].example.system,
        choices=choices,
        steps=steps,
    )


def consulted(technique: TuningTechnique, options: TrainingOptions, header: ModelHeader) -> ModelHeader:
    """The header, with what the technique asked to know of it; here it may import what it likes."""
    if not isinstance(technique, Consulting):
        return header
    return replace(header, told=technique.answer(technique.question(options, header)))


def extras_of(technique: TuningTechnique, options: TrainingOptions) -> Extras:
    """What the technique adds to the loop."""
    from customspec.ml.training import Extras

    who = f"technique `{technique.name}`"
    # numbers that they draw go on from step to step: put back, every step would draw the same
    optimizer = containing(technique.optimizer, who, draws=False) if isinstance(technique, Optimizing) else None
    penalty = containing(technique.penalty, who, draws=False) if isinstance(technique, Penalizing) else None
    after_step = containing(technique.after_step, who, draws=False) if isinstance(technique, Stepping) else None
    return Extras(
        optimizer=optimizer and partial(optimizer, options),
        penalty=penalty and partial(penalty, options),
        after_step=after_step and partial(after_step, options),
    )


def objective_of(
    technique: TuningTechnique,
    options: TrainingOptions,
    rows: Sequence[Encoded],
    base: nn.Module,
    *,
    answer_ids: Callable[[str], Sequence[int]],
    pad: int,
) -> Objective | None:
    """The technique's own loss over these rows; None where it has none. `base` is untrained."""
    from customspec.ml.objective import Objective

    if not isinstance(technique, Judging):
        return None
    who = f"technique `{technique.name}`"
    loss = containing(technique.objective, who, draws=False)  # as in `extras_of`
    with contained(who):
        texts = [tuple(technique.texts(options, row.example)) for row in rows]
    encoded = [
        [replace(row, answer=tuple(answer_ids(text)), learned=()) for text in own]
        for row, own in zip(rows, texts, strict=True)
    ]
    return Objective.of(partial(loss, options), encoded, pad, base if technique.needs_reference else None)


def text_room(
    technique: TuningTechnique, options: TrainingOptions, params: Mapping[str, Any], work: Work
) -> int | None:
    """Tokens to keep free behind a row's prompt in training, for its longest text; None: its own answer's."""
    if not isinstance(technique, Judging):
        return None
    _, chat = work.header_and_chat
    texts = own_texts(technique, options, template_of(params).render_all(work.rows("train")))
    return max((len(chat.answer_ids(text)) for text in texts or ()), default=None)


def checkpointing_of(
    technique: TuningTechnique, options: TrainingOptions, checkpoints: Checkpoints, artifact: Artifact, seconds: float
) -> Checkpointing:
    """Where this training's checkpoints lie, and what they hold beside the trainer's own."""
    from customspec.ml.checkpointing import Checkpointing

    own: dict[str, Any] = {}
    if isinstance(technique, Remembering):
        who = f"technique `{technique.name}`"
        memory, remember = (containing(one, who) for one in (technique.memory, technique.remember))
        own = {"state": partial(memory, options), "restore": partial(remember, options)}
    return Checkpointing(checkpoints, seconds, lambda: artifact.folder, artifact.adopt, **own)


def compared(rows: Sequence[Encoded], most: int, seed: int, *, stratified: bool) -> Sequence[Encoded]:
    """The rows that states are compared on: all, or so many drawn by the seed, each answer with its share of them."""
    if len(rows) <= most:
        return rows
    return nested(rows, most / len(rows), seed, (lambda row: row.example.answer) if stratified else None)


def selection_of(
    params: Any,
    options: TrainingOptions,
    work: Work,
    save: Callable[[nn.Module], None],
    *,
    steps: int,
    trained_on: int,
) -> Selection | None:
    """The goal's metric on validation rows, by the scorer that the test will meet; `trained_on` so many rows.

    None where nothing is to be chosen: without validation rows, or where one state stands alone and nobody asks for its
    value.
    """
    from customspec.ml.selection import Selection

    chooses = comparisons(options, steps, trained_on) > 0
    if params["selection"] is None or not (chooses or work.measured):
        return None
    params = {**params, **params["selection"]}
    scoring = Scoring.of(params["metric"], work.registry)
    _, chat = work.header_and_chat
    encoded = encode_rows(params, work.rows("validation"), work, reserve=reserve_of(params, chat))
    if not encoded.rows:
        return None
    rows = compared(encoded.rows, params["rows"], params["seed"], stratified=params["choices"] is not None)
    silent = work.silent  # the training's own progress goes on

    def measure(model: nn.Module) -> float:
        answers = answer(params, model, rows, chat, silent)
        value = scoring.score(answers_of(records_of(answers, rows, [scoring], model, silent)))
        if work.measured is not None:
            work.measured(value)
        return value

    every = evaluation_interval(options, steps, trained_on)
    return Selection(measure, save, scoring.metric.higher_is_better, every, options.early_stopping_patience)
