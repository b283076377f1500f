"""How long a training goes on, and how often it is looked at."""

from __future__ import annotations

from math import ceil

from customspec.spec import TrainingOptions


def training_steps(options: TrainingOptions, rows: int) -> int:
    """Optimizer steps of one training, the recipe being filled in."""
    if options.max_steps is not None:
        return options.max_steps
    batches = ceil(rows / (options.per_device_train_batch_size or 1))
    per_epoch = max(1, ceil(batches / (options.gradient_accumulation_steps or 1)))
    return max(1, ceil(per_epoch * (options.num_train_epochs or 1.0)))


def evaluation_interval(options: TrainingOptions, steps: int) -> int:
    """Steps between comparisons on the validation rows: as told, or an epoch's, ten in all, or one a step."""
    if options.eval_steps is not None:
        asked = options.eval_steps
        return max(1, ceil(asked * steps) if asked < 1 else round(asked))
    return ceil(steps / 10)
