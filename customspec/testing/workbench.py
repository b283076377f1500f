"""A tuning technique at work on tiny models: adapted, trained on one batch, saved, loaded. Torch lives here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from customspec.header import ModelHeader
from customspec.hookspecs import Judging, Refusal, StandsAlone, TuningTechnique
from customspec.inputs.encoding import Encoded
from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from customspec.ml.objective import Objective
from customspec.ml.quiet import quietly
from customspec.ml.training import seed_everything, train
from customspec.prompts import Example
from customspec.runners.tuning import consulted, extras_of, objective_of, task_of
from customspec.spec import TrainingOptions
from customspec.testing.fresh import filled_in
from customspec.testing.models import TinyModels
from customspec.testing.rows import columns_of

STEPS = 20
PAD = 2
# no two begin alike, and none is as long as another
BATCH = tuple(
    Encoded(
        Example(id=f"train:{i}", system=None, user="", answer=""),
        prompt=tuple(range(20 + 11 * i, 26 + 12 * i)),
        answer=(100 + i, 120 + i, 1),
    )
    for i in range(4)
)
END = 1
PROBE = torch.arange(20, 60).reshape(2, 20)  # (rows, length): token ids that no training row holds in this order


@dataclass(frozen=True)
class Cell:
    """A technique that was trained on one architecture. `before`: what stayed frozen, as it was before training."""

    options: TrainingOptions
    model: nn.Module
    before: dict[str, Tensor]
    losses: tuple[float, ...]
    """Mean loss per answer token at each step, in nats; the first is the untrained model's."""

    @property
    def moved(self) -> list[str]:
        """Parameters that are frozen and changed all the same."""
        now = dict(self.model.named_parameters())
        return [name for name, value in self.before.items() if not torch.equal(now[name], value)]


class Workbench:
    """One technique with its options, and the tiny models that it is tried on."""

    def __init__(self, technique: TuningTechnique, options: TrainingOptions, models: TinyModels) -> None:
        self.technique = technique
        self.options = options
        self._models = models
        self._headers: dict[str, ModelHeader] = {}
        self._cells: dict[str, Cell | Exception] = {}

    def header(self, architecture: str) -> ModelHeader:
        """The model's header, with what the technique asks to know of it."""
        if architecture not in self._headers:
            header, _ = read_header(self._models.folder(architecture))
            self._headers[architecture] = consulted(self.technique, self.options, header)
        return self._headers[architecture]

    def refusal(self, architecture: str) -> Refusal | None:
        return self.technique.refusal(self.options, self.header(architecture))

    def filled(self, architecture: str) -> TrainingOptions:
        """The options as training gets them."""
        return cast(TrainingOptions, filled_in(self.technique, self.options, self.header(architecture), len(BATCH)))

    def base(self, architecture: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
        return load_model(self._models.folder(architecture), dtype)

    def adapted(self, architecture: str, base: PreTrainedModel | None = None) -> nn.Module:
        """A fresh base, or this one, made ready to train under the seed 0."""
        fresh = self.base(architecture) if base is None else base
        seed_everything(0)
        task = task_of(BATCH, _ids, None, STEPS)
        return self.technique.adapt(self.filled(architecture), fresh, task)

    def trained(self, architecture: str) -> Cell:
        """A model after some steps on one batch; trained once, so nobody may train it further.

        Raises what the technique raises, every time.
        """
        if architecture not in self._cells:
            self._cells[architecture] = self._tried(architecture)
        cell = self._cells[architecture]
        if isinstance(cell, Exception):
            raise cell
        return cell

    def works(self, architecture: str) -> bool:
        """Whether the technique can be trained on it at all."""
        try:
            self.trained(architecture)
        except Exception:
            return False
        return True

    def _tried(self, architecture: str) -> Cell | Exception:
        try:
            return self.train(architecture)
        except Exception as error:
            return error

    def train(self, architecture: str) -> Cell:
        """A model trained anew, as in `trained`."""
        options, model = self.filled(architecture), self.adapted(architecture)
        before = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
        one_batch = options.model_copy(
            update={
                "per_device_train_batch_size": len(BATCH),
                "gradient_accumulation_steps": 1,
                "warmup_steps": 0.0,
                "lr_scheduler_type": "constant",
            }
        )
        trained = train(
            model,
            self.rows,
            one_batch,
            steps=STEPS,
            seed=0,
            pad=PAD,
            device="cpu",
            autocast=False,
            scratch=self._models.scratch(),
            extras=extras_of(self.technique, options),
            objective=self.objective(architecture),
        )
        return Cell(options, model.eval(), before, tuple(loss for _, loss in trained.losses))

    @cached_property
    def rows(self) -> tuple[Encoded, ...]:
        """The batch, with the columns that the technique reads: texts that are numbers too, so that both can be."""
        columns = columns_of(self.technique, self.options)
        return tuple(
            replace(row, example=Example(row.example.id, None, "", f"answer {i}", fields=_fields(columns, i)))
            for i, row in enumerate(BATCH)
        )

    def objective(self, architecture: str) -> Objective | None:
        """The technique's own loss on the batch, where it has one."""
        if not isinstance(self.technique, Judging):
            return None
        base = self.base(architecture)
        options = self.filled(architecture)
        return objective_of(self.technique, options, self.rows, base, answer_ids=_answer_ids, pad=PAD)

    def losses(self, architecture: str, rows: Sequence[int]) -> Tensor:
        """(rows,), with gradient: its own loss of some rows of the batch under an adapted model, taken together."""
        objective, model = self.objective(architecture), self.adapted(architecture).eval()
        assert objective is not None
        return objective.losses(model, objective.collate([{"row": row} for row in rows]))

    def saved(self, architecture: str) -> Path:
        """A new folder with what the technique saves of its trained model."""
        folder = self._models.scratch()
        self.technique.save(self.trained(architecture).model, folder)
        return folder

    def loaded(self, architecture: str, folder: Path) -> nn.Module:
        return self.technique.load(self.base(architecture), folder)

    def alone(self, folder: Path) -> nn.Module:
        """The model that a technique makes of its artifact, where that stands alone."""
        assert isinstance(self.technique, StandsAlone)
        return self.technique.open_whole(folder, torch.float32, "cpu")

    @quietly()
    def opened(self, architecture: str, folder: Path) -> nn.Module | None:
        """What plain PEFT or plain transformers makes of a saved folder; None where it is in neither's layout."""
        if (folder / "adapter_config.json").is_file():
            base = AutoModelForCausalLM.from_pretrained(str(self._models.folder(architecture)), dtype=torch.float32)
            return cast(nn.Module, PeftModel.from_pretrained(base, str(folder)))
        if (folder / "config.json").is_file():
            return cast(nn.Module, AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32))
        return None


def _ids(text: str) -> list[int]:
    return [20 + byte for byte in text.encode()]


def _answer_ids(text: str) -> list[int]:
    return [*_ids(text), END]


def _fields(columns: Sequence[str], row: int) -> dict[str, str]:
    return {column: str(10 * row + place) for place, column in enumerate(columns, 1)}


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """What trains, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def plain(model: nn.Module) -> bool:
    """Whether a model is what transformers makes of its configuration: the same modules, by the same names."""
    with torch.device("meta"):
        wanted = AutoModelForCausalLM.from_config(cast(PreTrainedModel, model).config)
    return {name: type(one) for name, one in model.named_modules()} == {
        name: type(one) for name, one in wanted.named_modules()
    }


def logits(model: nn.Module) -> Tensor:
    """(rows, length, vocabulary) of the last tokens of PROBE, in evaluation mode."""
    with torch.no_grad():
        return _forward(model.eval())[:, -PROBE.shape[1] :].float()


def difference(one: nn.Module, other: nn.Module) -> float:
    """The largest difference between two models' logits."""
    return float((logits(one) - logits(other)).abs().max())


def with_gradients(model: nn.Module) -> nn.Module:
    """The model after one backward pass from all its logits."""
    model.train()
    model(
        input_ids=PROBE, attention_mask=torch.ones_like(PROBE), use_cache=False
    ).logits.float().square().mean().backward()
    return model


def _forward(model: nn.Module) -> Tensor:
    found: Tensor = model(input_ids=PROBE, attention_mask=torch.ones_like(PROBE), use_cache=False).logits
    return found
