"""Trainings that can be cut off after a step and go on, by any technique, on rows of a few tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from customspec.inputs.encoding import Encoded
from customspec.ml.selection import Selection
from customspec.ml.state import trained_weights
from customspec.ml.training import Trained, seed_everything, train
from customspec.prompts import Example
from customspec.registry import discover
from customspec.runners.artifact import Artifact
from customspec.runners.tuning import checkpointing_of, extras_of, task_of
from customspec.store import Checkpoints

STEPS = 9
ROWS = [
    Encoded(
        Example(f"train:{i}", None, "", ""),
        tuple(3 + (i * 31 + j * 17) % 94 for j in range(2 + i % 5)),
        (5 + i, 40 + i, 2),
    )
    for i in range(11)
]


class CutError(Exception):
    """Stands for a kill, in this process: nothing of the training looks out for it."""


@dataclass
class Bench:
    """Trainings of one technique that can be cut off after a step."""

    folder: Path
    make: Callable[[], PreTrainedModel]
    technique: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Encoded] = tuple(ROWS)
    measure: Callable[[nn.Module], float] | None = None
    patience: int | None = None
    seconds: float = 0.0
    device: str = "cpu"

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "store", "ab" * 32, "train:x@0")

    def train(self, *, cut: int | None = None, tell: Callable[[int], None] | None = None, **more: Any) -> Run:
        technique = discover().tuning(self.technique)
        given = {"learning_rate": 1e-2, "per_device_train_batch_size": 2, "num_train_epochs": 1.0, **self.options}
        options = technique.options.model_validate(given)
        seed_everything(7)
        model = technique.adapt(options, self.make(), task_of(self.rows, lambda text: [5, 6, 7], None, STEPS))
        model.to(self.device)
        room = self.folder / "room" / str(len(list((self.folder / "room").glob("*"))))
        room.mkdir(parents=True)
        artifact = Artifact(lambda model, folder: torch_free_save(model, folder), room)

        def told(done: int, *_: Any) -> None:
            if tell is not None:
                tell(done)
            if cut is not None and done >= cut:
                raise CutError

        selection = None
        if self.measure is not None:
            selection = Selection(self.measure, artifact.save, higher_is_better=False, every=2, patience=self.patience)
        found = train(
            model,
            self.rows,
            options,
            steps=STEPS,
            seed=7,
            pad=0,
            device=self.device,
            autocast=False,
            scratch=room / "scratch",
            selection=selection,
            extras=extras_of(technique, options),
            checkpointing=checkpointing_of(technique, options, self.checkpoints, artifact, self.seconds),
            progress=told,
            **more,
        )
        kept = None if artifact.folder is None else (artifact.folder / "kept").read_bytes()
        return Run(found, {name: part.detach().clone() for name, part in trained_weights(model).items()}, kept)


def torch_free_save(model: nn.Module, folder: Path) -> None:
    parts = [part.detach().numpy().tobytes() for part in trained_weights(model).values()]
    (folder / "kept").write_bytes(b"".join(parts))


@dataclass(frozen=True)
class Run:
    trained: Trained
    weights: Mapping[str, Tensor]
    kept: bytes | None

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Run)
        return (
            self.facts == other.facts
            and self.kept == other.kept
            and self.weights.keys() == other.weights.keys()
            and all(torch.equal(part, other.weights[name]) for name, part in self.weights.items())
        )

    @property
    def facts(self) -> list[Any]:
        """All of the result but the seconds."""
        trained = self.trained
        return [trained.steps, trained.rows, trained.losses, trained.evaluations, trained.kept, trained.notes]


class Valley:
    """A measure that falls and then rises, and draws random numbers, as a sampling evaluation might."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, model: nn.Module) -> float:
        self.asked += 1
        torch.rand(3)
        return float(sum(part.detach().abs().sum() for part in trained_weights(model).values()))
