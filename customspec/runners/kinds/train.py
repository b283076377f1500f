"""Train one candidate: its prompt and demonstrations, its technique, the one training loop."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.errors import StepError
from customspec.estimate import evaluation_interval, training_steps
from customspec.hookspecs import Optimizing, Penalizing, Stepping, Task, TuningTechnique
from customspec.inputs.encoding import Encodings
from customspec.inputs.tokens import Chat
from customspec.plan import Step
from customspec.runners.answers import answer, reserve_of
from customspec.runners.measure import measuring
from customspec.runners.work import Work, encode_rows, located
from customspec.spec import TrainingOptions

if TYPE_CHECKING:
    from torch import nn

    from customspec.ml.selection import Selection
    from customspec.ml.training import Extras

log = logging.getLogger("customspec")


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes the artifact into `folder`; the values are what the training cost and how the loss went."""
    from customspec.ml.models import DTYPES, load_model
    from customspec.ml.training import mean_loss, sample_of, seed_everything, train

    params, machine = located(step), work.machine
    peak = measuring(machine.device)
    technique = work.registry.tuning(params["technique"]["name"])
    options = technique.options.model_validate(params["technique"]["options"])
    encoded = encode_rows(params, work.rows("train"), work, reserve=None)
    if not encoded.rows:
        raise StepError("every training row was dropped as too long")
    header, chat = work.header_and_chat
    steps = training_steps(options, len(encoded.rows))
    steps = min(steps, params["max_steps"] or steps)
    work.tell(0, None, "loading the model")
    base = load_model(work.model_folder(), DTYPES[machine.compute_dtype], machine.torch_device)
    untrained_loss = mean_loss(base, sample_of(encoded.rows), chat.pad_id)
    seed_everything(params["seed"])
    model = technique.adapt(options, base, _task(encoded, chat, params, steps))
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    promised = technique.trainable_parameters(options, header)
    if trainable != promised:
        raise StepError(f"technique `{technique.name}` promised {promised} trained parameters and trains {trainable}")
    save = partial(_save_anew, technique, folder=folder)
    with tempfile.TemporaryDirectory() as scratch:
        trained = train(
            model,
            encoded.rows,
            options,
            steps=steps,
            seed=params["seed"],
            pad=chat.pad_id,
            device=machine.device,
            autocast=machine.compute_dtype == "bfloat16",
            scratch=Path(scratch),
            selection=_selection(params, options, steps, work, save),
            untrained_loss=untrained_loss,
            extras=_extras(technique, options),
            progress=work.tell,
        )
    if trained.kept is None:
        save(model)
    for note in trained.notes:
        log.warning("%s: %s", step.id, note)
    return {
        "train_seconds": trained.seconds,
        "evaluation_seconds": trained.evaluation_seconds,
        "steps": trained.steps,
        "kept_step": trained.kept,
        "rows_per_second": trained.rows / (trained.seconds - trained.evaluation_seconds),
        "losses": [list(point) for point in trained.losses],
        "untrained_loss": untrained_loss,
        "evaluations": [list(point) for point in trained.evaluations],
        "notes": list(trained.notes),
        "trainable_parameters": trainable,
        "peak_memory_bytes": peak(),
        "artifact_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "dropped": list(encoded.dropped),
        "cut": list(encoded.cut),
        "last_answer_only": list(encoded.last_only),
    }


def _task(encoded: Encodings, chat: Chat, params: Any, steps: int) -> Task:
    selection = params["selection"] or {"choices": None}
    return Task(
        rows=[(row.prompt, row.answer) for row in encoded.rows],
        encode=chat.encode,
        instruction=encoded.rows[0].example.system,
        choices=selection["choices"],
        steps=steps,
    )


def _extras(technique: TuningTechnique, options: TrainingOptions) -> Extras:
    from customspec.ml.training import Extras

    return Extras(
        optimizer=partial(technique.optimizer, options) if isinstance(technique, Optimizing) else None,
        penalty=partial(technique.penalty, options) if isinstance(technique, Penalizing) else None,
        after_step=partial(technique.after_step, options) if isinstance(technique, Stepping) else None,
    )


def _selection(
    params: Any, options: TrainingOptions, steps: int, work: Work, save: Callable[[nn.Module], None]
) -> Selection | None:
    """The goal's metric on the validation rows, by the scorer that the test will meet."""
    from customspec.ml.selection import Selection

    if params["selection"] is None:
        return None
    params = {**params, **params["selection"]}
    metric = work.registry.metric(params["metric"]["name"])
    _, chat = work.header_and_chat
    encoded = encode_rows(params, work.rows("validation"), work, reserve=reserve_of(params, chat))
    if not encoded.rows:
        return None
    silent = replace(work, tell=lambda done, total, note: None)  # the training's own progress goes on
    references = [row.example.answer for row in encoded.rows]

    def measure(model: nn.Module) -> float:
        records = answer(params, model, encoded.rows, chat, silent).records
        return metric.score([record["prediction"] for record in records], references)

    every = evaluation_interval(options, steps)
    return Selection(measure, save, metric.higher_is_better, every, options.early_stopping_patience)


def _save_anew(technique: TuningTechnique, model: nn.Module, folder: Path) -> None:
    """The artifact, in place of an earlier state's."""
    shutil.rmtree(folder)
    folder.mkdir()
    technique.save(model, folder)
