"""Train one candidate: its prompt and demonstrations, its technique, the one training loop."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.containment import containing
from customspec.errors import StepError
from customspec.estimate import training_steps
from customspec.hookspecs import TuningTechnique
from customspec.inputs.encoding import Encodings
from customspec.plan import Step
from customspec.runners.artifact import Artifact
from customspec.runners.bases import load_base, make_way
from customspec.runners.measure import measuring
from customspec.runners.tuning import (
    checkpointing_of,
    consulted,
    extras_of,
    objective_of,
    selection_of,
    task_of,
    text_room,
)
from customspec.runners.work import Work, encode_rows, settled
from customspec.spec import TrainingOptions
from customspec.store import Checkpoints, room

if TYPE_CHECKING:
    from torch import nn

    from customspec.ml.training import Trained

log = logging.getLogger("customspec")


@dataclass(frozen=True)
class _Training:
    """What is trained, on what, for how long."""

    step: Step
    work: Work
    params: Any
    technique: TuningTechnique
    options: TrainingOptions
    encoded: Encodings
    steps: int

    @classmethod
    def of(cls, step: Step, work: Work) -> _Training:
        params = settled(step, work)
        technique = work.registry.tuning(params["technique"]["name"])
        options = technique.options.model_validate(params["technique"]["options"])
        reserve = text_room(technique, options, params, work)
        encoded = encode_rows(params, work.rows("train"), work, reserve=reserve)
        if not encoded.rows:
            raise StepError("every training row was dropped as too long")
        steps = training_steps(options, len(encoded.rows))
        return cls(step, work, params, technique, options, encoded, min(steps, params["max_steps"] or steps))


@dataclass(frozen=True)
class _Made:
    trained: Trained
    untrained_loss: float
    trainable: int


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes the artifact into `folder`; the values are what the training cost and how the loss went."""
    from customspec.ml.checkpointing import UnusableError

    make_way(settled(step, work), work)
    peak = measuring(work.machine.device, work.machine.torch_device)
    training = _Training.of(step, work)
    checkpoints = Checkpoints(work.cache, work.key, step.id)
    save = containing(training.technique.save, f"technique `{training.technique.name}`")
    with room(work.cache) as there:
        artifact = Artifact(save, there)
        try:
            made = _train(training, artifact, checkpoints, there)
        except UnusableError as error:
            log.warning("%s: its checkpoint cannot be used (%s): the training begins anew", step.id, error)
            checkpoints.clear()
            artifact = Artifact(save, there)
            made = _train(training, artifact, checkpoints, there)
        artifact.deliver(folder)
    for note in made.trained.notes:
        log.warning("%s: %s", step.id, note)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {**_values(made, training.encoded), "peak_memory_bytes": peak(), "artifact_bytes": size}


def _train(training: _Training, artifact: Artifact, checkpoints: Checkpoints, scratch: Path) -> _Made:
    """Train, and leave the state to use in `artifact`."""
    from customspec.ml.training import sample_loss, seed_everything, train

    work, params, options, technique = training.work, training.params, training.options, training.technique
    machine, rows, seed = work.machine, training.encoded.rows, params["seed"]
    _, chat = work.header_and_chat
    work.tell(0, None, "loading the model")
    base = load_base(params, work)
    objective = objective_of(technique, options, rows, base, answer_ids=chat.answer_ids, pad=chat.pad_id)
    untrained_loss = sample_loss(base, rows, chat.pad_id, objective)
    seed_everything(seed)
    choices = None if params["selection"] is None else params["selection"]["choices"]
    adapt = containing(technique.adapt, f"technique `{technique.name}`", seeds=False)  # the loop seeds anew
    model = adapt(options, base, task_of(rows, chat.encode, choices, training.steps))
    work.warm.bases.settle(model)
    trainable = _checked(model, training)
    trained = train(
        model,
        rows,
        options,
        steps=training.steps,
        seed=seed,
        pad=chat.pad_id,
        device=machine.device,
        autocast=machine.compute_dtype == "bfloat16",
        scratch=scratch,
        selection=selection_of(params, options, work, artifact.save, steps=training.steps, trained_on=len(rows)),
        untrained_loss=untrained_loss,
        extras=extras_of(technique, options),
        objective=objective,
        checkpointing=checkpointing_of(technique, options, checkpoints, artifact, work.checkpoint_seconds),
        progress=work.tell,
    )
    if trained.kept is None:
        artifact.save(model)
    return _Made(trained, untrained_loss, trainable)


def _checked(model: nn.Module, training: _Training) -> int:
    """How many weights train. Raises StepError when that is not what the technique promised."""
    technique, registry = training.technique, training.work.registry
    header, _ = training.work.header_and_chat
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    promised = technique.trainable_parameters(training.options, consulted(technique, training.options, header))
    if trainable != promised:
        plugin = f"plugin {registry.offer('technique', technique.name)}: technique `{technique.name}`"
        raise StepError(f"{plugin} promised {promised} trained parameters and trains {trainable}")
    return trainable


def _values(made: _Made, encoded: Encodings) -> dict[str, Any]:
    trained = made.trained
    return {
        "train_seconds": trained.seconds,
        "evaluation_seconds": trained.evaluation_seconds,
        "rows": len(encoded.rows),
        "steps": trained.steps,
        "kept_step": trained.kept,
        "rows_per_second": trained.rows / (trained.seconds - trained.evaluation_seconds),
        "losses": [list(point) for point in trained.losses],
        "untrained_loss": made.untrained_loss,
        "evaluations": [list(point) for point in trained.evaluations],
        "notes": list(trained.notes),
        "trainable_parameters": made.trainable,
        "dropped": list(encoded.dropped),
        "cut": list(encoded.cut),
        "last_answer_only": list(encoded.last_only),
    }
