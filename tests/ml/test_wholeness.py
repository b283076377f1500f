"""A model runs on the weights of its folder, all of them, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from customspec.errors import Code, Exit, MachineError
from customspec.inputs.models import ModelError
from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from support import make_model

UP = "model.layers.1.mlp.up_proj.weight"
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 16},
    "mixtral": {"num_key_value_heads": 2, "num_local_experts": 2},  # its experts are put together when loaded
    "llama": {"tie_word_embeddings": True},
}

Change = Callable[[dict[str, torch.Tensor]], None]


def drop(*names: str) -> Change:
    def change(weights: dict[str, torch.Tensor]) -> None:
        for name in names:
            del weights[name]

    return change


def cut(weights: dict[str, torch.Tensor]) -> None:
    weights[UP] = weights[UP][:, :16].clone()


def changed(folder: Path, good: Path, change: Change, **config: Any) -> Path:
    """A copy of the good model, well formed, with other weights or another config."""
    shutil.copytree(good, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**document, **config}))
    return folder


BAD: dict[str, tuple[Change, dict[str, Any], str]] = {
    "no-head": (drop("lm_head.weight"), {}, "its weights lack `lm_head.weight`$"),
    "two-missing": (drop(UP, "lm_head.weight"), {}, "its weights lack `lm_head.weight` and 1 other$"),
    "narrower": (cut, {}, rf"`{UP}` is \(64, 16\) there, and \(64, 32\) by config.json$"),
    "wider-config": (
        drop(),
        {"hidden_size": 64},
        r"config.json does not fit the weights: `lm_head.weight` is \(300, 3",
    ),
    "more-words": (drop(), {"vocab_size": 307}, r"`lm_head.weight` is \(300, 32\) there, and \(307, 32\) by config"),
    "more-layers": (
        drop(),
        {"num_hidden_layers": 3},
        r"its weights lack `model.layers.2.input_layernorm.weight` and 8",
    ),
    "fewer-layers": (
        drop(),
        {"num_hidden_layers": 1},
        "config.json does not fit the weights: they have `model.layers.1.input_layernorm.weight` and 8",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_weights_that_are_not_the_models_are_refused_by_header_and_loader(
    case: str, tiny_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change, config, message = BAD[case]
    folder = changed(tmp_path / "model", tiny_folder, change, **config)
    with pytest.raises(ModelError, match=message) as caught:
        read_header(folder)
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_UNUSABLE, Exit.ENVIRONMENT)
    with pytest.raises(MachineError, match=message) as failed:
        load_model(folder, torch.float32)
    assert str(failed.value).startswith(f"the model {folder} cannot be used: ")
    assert "LOAD REPORT" not in caplog.text


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_renamed_converted_and_tied_weights_are_there(architecture: str, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", architecture, **ARCHITECTURES[architecture])
    read_header(folder)
    load_model(folder, torch.float32)


def test_the_weights_of_the_body_alone_are_enough_where_the_head_is_tied(tmp_path: Path) -> None:
    tied = make_model(tmp_path / "tied", tie_word_embeddings=True)

    def without_prefix(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            weights[name.removeprefix("model.")] = weights.pop(name)

    folder = changed(tmp_path / "model", tied, without_prefix)
    read_header(folder)
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        assert torch.equal(*(load_model(one, torch.float32)(ids).logits for one in (folder, tied)))


def test_a_body_alone_has_no_layers_beyond_either(tmp_path: Path) -> None:
    tied = make_model(tmp_path / "tied", tie_word_embeddings=True)

    def without_prefix(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            weights[name.removeprefix("model.")] = weights.pop(name)

    folder = changed(tmp_path / "model", tied, without_prefix, num_hidden_layers=1)
    with pytest.raises(ModelError, match="of layers that it does not count"):
        read_header(folder)


def test_weights_that_nobody_needs_are_no_obstacle(tiny_folder: Path, tmp_path: Path) -> None:
    extra = ("extra", "model.layers.1.self_attn.rotary_emb.inv_freq", "model.layers.9.attn.masked_bias")
    folder = changed(
        tmp_path / "model", tiny_folder, lambda weights: weights.update({name: torch.zeros(2) for name in extra})
    )
    read_header(folder)
    load_model(folder, torch.float32)
