"""What tests of tuning techniques share: rows and a task, and models adapted and trained for a few steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from customspec.header import ModelHeader
from customspec.hookspecs import Task
from customspec.inputs.encoding import Encoded
from customspec.ml.headers import read_header
from customspec.ml.training import seed_everything, train
from customspec.prompts import Example
from customspec.spec import TrainingOptions
from customspec_tuning.full import Full, FullOptions
from customspec_tuning.lora import Lora, LoraOptions

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
}
each = pytest.mark.parametrize("architecture", ARCHITECTURES)
IDS = torch.arange(10, 34).reshape(3, 8)
ROWS = [
    Encoded(Example(f"train:{i}", None, "", ""), tuple(range(20 + i, 24 + 2 * i)), (30 + i, 50 + i, 6))
    for i in range(6)
]
TASK = Task(rows=[(row.prompt, row.answer) for row in ROWS], encode=len, instruction=None, choices=None, steps=3)  # type: ignore[arg-type]  # never called
Trained = Callable[[str, str], tuple[nn.Module, dict[str, Tensor]]]


def lora(**options: Any) -> LoraOptions:
    return LoraOptions(**{"r": 4, "lora_alpha": 8, **options})


def adapted(technique: str, base: PreTrainedModel) -> nn.Module:
    seed_everything(0)
    return Lora().adapt(lora(), base, TASK) if technique == "lora" else Full().adapt(FullOptions(), base, TASK)


def run(model: nn.Module, scratch: Path) -> None:
    options = TrainingOptions(learning_rate=0.01, per_device_train_batch_size=2, warmup_steps=0)
    train(model, ROWS, options, steps=3, seed=0, pad=2, device="cpu", autocast=False, scratch=scratch)


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(IDS).logits
    return found


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def trainable(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def header(folder: Path) -> ModelHeader:
    return read_header(folder)[0]
