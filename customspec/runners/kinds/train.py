"""Train one candidate: its prompt and demonstrations, its technique, the one training loop."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from customspec.errors import StepError
from customspec.estimate import training_steps
from customspec.plan import Step
from customspec.runners.measure import measuring
from customspec.runners.work import Work, encode_rows, located


def run(step: Step, work: Work, folder: Path) -> dict[str, Any]:
    """Writes the artifact into `folder`; the values are what the training cost and how the loss went."""
    from customspec.ml.models import DTYPES, load_model
    from customspec.ml.training import seed_everything, train

    params, machine = located(step), work.machine
    peak = measuring(machine.device)
    technique = work.registry.tuning(params["technique"]["name"])
    options = technique.options.model_validate(params["technique"]["options"])
    encoded = encode_rows(params, work.rows("train"), work, reserve=None)
    if not encoded.rows:
        raise StepError("every training row was dropped as too long")
    header, chat = work.header_and_chat
    work.tell(0, None, "loading the model")
    base = load_model(work.model_folder(), DTYPES[machine.compute_dtype], machine.torch_device)
    seed_everything(params["seed"])
    model = technique.adapt(options, base)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    promised = technique.trainable_parameters(options, header)
    if trainable != promised:
        raise StepError(f"technique `{technique.name}` promised {promised} trained parameters and trains {trainable}")
    steps = training_steps(options, len(encoded.rows))
    with tempfile.TemporaryDirectory() as scratch:
        trained = train(
            model,
            encoded.rows,
            options,
            steps=min(steps, params["max_steps"] or steps),
            seed=params["seed"],
            pad=chat.pad_id,
            device=machine.device,
            autocast=machine.compute_dtype == "bfloat16",
            scratch=Path(scratch),
            progress=work.tell,
        )
    technique.save(model, folder)
    return {
        "train_seconds": trained.seconds,
        "steps": trained.steps,
        "rows_per_second": trained.rows / trained.seconds,
        "losses": [list(point) for point in trained.losses],
        "trainable_parameters": trainable,
        "peak_memory_bytes": peak(),
        "artifact_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "dropped": list(encoded.dropped),
        "cut": list(encoded.cut),
        "last_answer_only": list(encoded.last_only),
    }
