"""What the recipes share: how long to train, how fast, and how the rate goes up and down."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from customspec.header import ModelHeader
from customspec.spec import TrainingOptions

BATCH = 8  # rows
WIDE = 1024  # hidden size from which on a model takes the smaller of a recipe's two rates


def recipe(
    options: TrainingOptions,
    model: ModelHeader,
    rows: int,
    *,
    rate: float,
    wide: float,
    steps: int,
    most: int = 15,
    patience: int = 4,
) -> Mapping[str, Any]:
    """Defaults of the training options: `rate` for small models and `wide` for large ones, over about `steps`
    optimizer steps whatever the number of rows, in three to `most` epochs. `patience` is in tenths of all steps.

    Steps, epochs, batch, patience and warm-up are ours and no paper's, measured on SmolLM2-135M with 200 rows
    (`benchmarks.techniques`). On models wider than WIDE nothing is measured.

    The rates of techniques that change weights are those at which a layer's output leaves its place about as fast as
    under LoRA's: `python -m benchmarks.rates` measures that, on a random layer.
    """
    size = (options.per_device_train_batch_size or BATCH) * (options.gradient_accumulation_steps or 1)
    passes = _epochs(rows, batch=size, steps=steps, most=most)
    return {
        "learning_rate": rate if model.hidden_size <= WIDE else wide,
        "num_train_epochs": passes,
        "per_device_train_batch_size": BATCH,
        "lr_scheduler_type": "linear",
        # until Adam's second moments settle
        "warmup_steps": 0.05,
        "weight_decay": 0.0,
        "early_stopping_patience": _waiting(options, rows, batch=size, passes=passes, tenths=patience),
    }


def _epochs(rows: int, *, batch: int, steps: int, most: int) -> float:
    """Passes over the rows that make about `steps` optimizer steps of `batch` rows: three at least, `most` at most."""
    return float(min(most, max(3, ceil(steps * batch / rows))))


def _waiting(options: TrainingOptions, rows: int, *, batch: int, passes: float, tenths: int) -> int:
    """Comparisons without a better value that together take so many tenths of all steps, `passes` being the recipe's
    epochs: a training of many is compared ten times, one of few once an epoch, and four times at least."""
    if options.eval_steps is not None:
        return tenths
    passes_asked = options.num_train_epochs if options.max_steps is None else options.max_steps * batch / rows
    return ceil(tenths / 10 * min(10, max(4, ceil(passes_asked or passes))))
