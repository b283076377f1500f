"""How long a training goes on, how often it is looked at, and at how many rows."""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from typing import Final

from customspec.spec import TrainingOptions

LEAST, MOST = 4, 10  # comparisons of a training: fewer would miss its best state, more say little for what they take
KEPT: Final = 3  # of so many trials of a search that reach a rung, one goes on
COMPARED: Final = 256  # validation rows that states are compared on; an accuracy is then within 0.03, one sigma


def training_steps(options: TrainingOptions, rows: int) -> int:
    """Optimizer steps of one training, the recipe being filled in."""
    if options.max_steps is not None:
        return options.max_steps
    return max(1, ceil(_epoch(options, rows) * (options.num_train_epochs or 1.0)))


def evaluation_interval(options: TrainingOptions, steps: int, rows: int) -> int:
    """Steps between comparisons on the validation rows: as told, or an epoch's, where that makes LEAST to MOST in all.
    `rows` are those that are trained on."""
    if options.eval_steps is not None:
        asked = options.eval_steps
        return max(1, ceil(asked * steps) if asked < 1 else round(asked))
    every = ceil(steps / min(MOST, max(LEAST, ceil(steps / _epoch(options, rows)))))
    return every if ceil(steps / every) >= LEAST else max(1, steps // LEAST)


def comparisons(options: TrainingOptions, steps: int, rows: int) -> int:
    """How often states are compared: never where there would be one to compare, which chooses nothing."""
    count = ceil(steps / evaluation_interval(options, steps, rows))
    return count if count > 1 else 0


def searched(trials: int, measurements: int) -> float:
    """How many trials of full length a search by successive halving is worth: of those that reach the 1st, 3rd, 9th …
    measurement, one in `KEPT` goes on, and one goes to the end."""
    rungs = [1]
    while rungs[-1] * KEPT < measurements:
        rungs.append(rungs[-1] * KEPT)
    parts = [upto - since for since, upto in pairwise((0, *rungs, measurements))]
    going = [max(1.0, trials / float(KEPT) ** rung) for rung in range(len(parts))]
    return sum(part * many for part, many in zip(parts, going, strict=True)) / measurements


def _epoch(options: TrainingOptions, rows: int) -> int:
    """Optimizer steps that show every row once."""
    batches = ceil(rows / (options.per_device_train_batch_size or 1))
    return max(1, ceil(batches / (options.gradient_accumulation_steps or 1)))
