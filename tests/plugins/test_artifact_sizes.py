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
        ("adalora", {}),
        ("ia3", {}),
        ("oft", {}),
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
    saved = sum(tensor.numel() for tensor in load_file(tmp_path / "adapter_model.safetensors").values())
    assert saved_numbers(technique, chosen, header) == saved


def saved_numbers(technique: TuningTechnique, options: TrainingOptions, header: Any) -> int:
    saved = technique.footprint(options, header).saved if isinstance(technique, Footprints) else None
    return technique.trainable_parameters(options, header) if saved is None else saved
