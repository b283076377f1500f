"""Train one candidate: its prompt and demonstrations, its technique, the one training loop."""

from __future__ import annotations

import logging
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.errors import StepError
from customspec.estimate import training_steps
from customspec.hookspecs import TuningTechnique
from customspec.plan import Step
from customspec.runners.measure import measuring
from customspec.runners.tuning import consulted, extras_of, selection_of, task_of
from customspec.runners.work import Work, encode_rows, located

if TYPE_CHECKING:
    from torch import nn

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
    choices = None if params["selection"] is None else params["selection"]["choices"]
    model = technique.adapt(options, base, task_of(encoded.rows, chat.encode, choices, steps))
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    promised = technique.trainable_parameters(options, consulted(technique, options, header))
    if trainable != promised:
        plugin = f"plugin {work.registry.offer('technique', technique.name)}: technique `{technique.name}`"
        raise StepError(f"{plugin} promised {promised} trained parameters and trains {trainable}")
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
            selection=selection_of(params, options, steps, work, save),
            untrained_loss=untrained_loss,
            extras=extras_of(technique, options),
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


def _save_anew(technique: TuningTechnique, model: nn.Module, folder: Path) -> None:
    """The artifact, in place of an earlier state's."""
    shutil.rmtree(folder)
    folder.mkdir()
    technique.save(model, folder)
