"""The size of an artifact is known before it is made: the ladder goes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from customspec.hookspecs import Footprints, Task, TuningTechnique
from customspec.inputs.encoding import Encoded
from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from customspec.prompts import Example
from customspec.registry import discover
from customspec.spec import TrainingOptions
from customspec.testing import TinyModels
from customspec_tuning.adalora import Adalora, AdaloraOptions

ROWS = [Encoded(Example("train:0", None, "", ""), tuple(range(20, 60)), (30, 6))]
TASK = Task([(row.prompt, row.answer) for row in ROWS], lambda text: list(text.encode()), None, ["a", "b"], 3)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lora", {"r": 4}),
        ("lora", {"r": 4, "use_dora": True}),
        ("lora", {"r": 4, "init_lora_weights": "pissa"}),
        ("lora", {"r": 4, "init_lora_weights": "olora"}),
        ("vera", {"r": 16}),
        ("prompt_tuning", {}),
        ("p_tuning", {}),
        ("p_tuning", {"encoder_reparameterization_type": "MLP"}),
        ("prefix_tuning", {}),
        ("prefix_tuning", {"prefix_projection": True}),
        ("ia3", {}),
        ("oft", {}),
        ("boft", {}),
        ("loha", {}),
        ("lokr", {}),
        ("ln_tuning", {}),
    ],
)
def test_a_technique_tells_how_much_it_will_save(
    models: TinyModels, tmp_path: Path, architecture: str, name: str, options: dict[str, Any]
) -> None:
    technique, folder = discover().tuning(name), models.folder(architecture)
    header = read_header(folder)[0]
    chosen = technique.options.model_validate(options)
    if technique.refusal(chosen, header) is not None:
        pytest.skip("not with this model")
    chosen = technique.options.model_validate({**technique.recipe(chosen, header, 6), **options})
    model = technique.adapt(chosen, load_model(folder, torch.float32), TASK)
    technique.save(model, tmp_path)
    assert saved_numbers(technique, chosen, header) == numbers_in(tmp_path)


def test_of_adalora_the_ranks_are_saved_that_are_left(models: TinyModels, tmp_path: Path) -> None:
    adalora, folder = Adalora(), models.folder("llama")
    header = read_header(folder)[0]
    options = AdaloraOptions(init_r=6, target_r=2, target_modules=("q_proj", "o_proj"))
    torch.manual_seed(0)
    model = adalora.adapt(options, load_model(folder, torch.float32), TASK)
    for step in range(1, TASK.steps + 1):
        for weight in model.parameters():
            weight.grad = torch.rand_like(weight) if weight.requires_grad else None
        adalora.after_step(options, model, step)
    adalora.save(model, tmp_path)
    # two layers, two maps of 64 x 64; a rank is a vector on each side and its singular value
    assert saved_numbers(adalora, options, header) == numbers_in(tmp_path) == 2 * 2 * 2 * (64 + 64 + 1)
    assert adalora.trainable_parameters(options, header) == 3 * numbers_in(tmp_path)


def numbers_in(folder: Path) -> int:
    return sum(tensor.numel() for tensor in load_file(folder / "adapter_model.safetensors").values())


def saved_numbers(technique: TuningTechnique, options: TrainingOptions, header: Any) -> int:
    saved = technique.footprint(options, header).saved if isinstance(technique, Footprints) else None
    return technique.trainable_parameters(options, header) if saved is None else saved
