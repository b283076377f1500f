"""A technique's training options as transformers' TrainingArguments."""

from __future__ import annotations

import math
from pathlib import Path

from transformers import TrainingArguments

from customspec.spec import TrainingOptions

LOGGED_STEPS = 200  # points of the loss curve at most


def training_arguments(
    options: TrainingOptions, steps: int, seed: int, device: str, autocast: bool, scratch: Path
) -> TrainingArguments:
    warmup = options.warmup_steps or 0.0
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        learning_rate=options.learning_rate or 0.0,
        per_device_train_batch_size=options.per_device_train_batch_size or 1,
        gradient_accumulation_steps=options.gradient_accumulation_steps or 1,
        lr_scheduler_type=options.lr_scheduler_type or "linear",
        warmup_steps=math.ceil(warmup * steps) if warmup < 1 else int(warmup),
        weight_decay=options.weight_decay or 0.0,
        max_grad_norm=options.max_grad_norm or 1.0,
        train_sampling_strategy="group_by_length",  # rows of like length share a batch: less padding
        bf16=autocast,
        use_cpu=device == "cpu",
        seed=seed,
        data_seed=seed,
        save_strategy="no",
        report_to=[],
        logging_steps=max(1, steps // LOGGED_STEPS),
        logging_nan_inf_filter=False,  # it would show a NaN loss as the mean of the others
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one device a step: Trainer would spread the batch over all it sees
    return arguments
