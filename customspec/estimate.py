"""What a candidate will cost, before it runs and without torch: enough to put the rungs of a ladder in order."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from customspec.spec import TrainingOptions

BYTES = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Estimate:
    """`training_flops` counts matrix products alone, as 6 per trained and 4 per frozen parameter and token."""

    prompt_tokens: float
    artifact_bytes: int
    training_flops: float

    @property
    def rung(self) -> tuple[int, float, float]:
        """Sorts from cheap to expensive: prompting by tokens per request, tuning by artifact, then by training."""
        tuned = self.artifact_bytes > 0
        return (1, self.artifact_bytes, self.training_flops) if tuned else (0, self.prompt_tokens, 0.0)


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


def training_flops(trained: int, total: int, tokens_per_row: float, rows_seen: int) -> float:
    """4 per parameter and token through the frozen part (forward, and backward to the activations), 2 more where
    weights have gradients of their own."""
    return (4.0 * total + 2.0 * trained) * tokens_per_row * rows_seen


def artifact_bytes(trained: int, total: int, compute_dtype: str) -> int:
    """An adapter is kept in float32; a whole model in the compute type."""
    return trained * (BYTES[compute_dtype] if trained >= total else 4)
