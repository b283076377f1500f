"""One candidate's predicted cost, as the plan prints it and the results show it beside what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

BYTES = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is not known is None: nothing but the technique's name is, while the model or the data is not there.

    `prompt_tokens` is the mean of a request. Operations (FLOPs) are those of matrix products, a multiplication and an
    addition counting two. `peak_memory_bytes` is the largest of the candidate's steps, the model included; `seconds`
    is the time of searching, training and evaluating, without what a library takes to load. `calibrated`: the time
    rests on what this machine was measured to do, not on an assumption about machines of its kind.
    """

    trainable_parameters: int | None = None
    total_parameters: int | None = None
    prompt_tokens: float | None = None
    artifact_bytes: int | None = None
    training_flops: float | None = None
    evaluation_flops: float | None = None
    peak_memory_bytes: int | None = None
    train_seconds: float | None = None
    evaluate_seconds: float | None = None
    search_seconds: float | None = None
    seconds: float | None = None
    calibrated: bool = False

    @property
    def rung(self) -> tuple[float, ...]:
        """Sorts from cheap to expensive, as `decide.decision.Standing.cost` does with what was measured."""
        base = self.total_parameters or 1
        if self.trainable_parameters == 0:
            return 0, (self.prompt_tokens or 0.0) * base
        return 1, base, self.artifact_bytes or 0, self.training_flops or 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, null for what is not known."""
        return asdict(self)


def artifact_bytes(trained: int, total: int, compute_dtype: str, saved: int | None = None) -> int:
    """An adapter is kept in float32; a whole model in the compute type. `saved`: numbers of an adapter that holds
    others than those that train."""
    if saved is not None:
        return 4 * saved
    return trained * (BYTES[compute_dtype] if trained >= total else 4)
