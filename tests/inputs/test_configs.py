"""Configs that no model can have, and files larger than any model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from model_folders import Find, fill, found, whole

from customspec.errors import Code, Exit
from customspec.inputs.models import ModelError


@pytest.mark.parametrize(
    ("file", "size"),
    [
        ("config.json", 1 << 20),
        ("generation_config.json", 1 << 20),
        ("tokenizer_config.json", 4 << 20),
        ("model.safetensors.index.json", 16 << 20),
    ],
)
def test_a_file_larger_than_any_models_is_not_read(tmp_path: Path, find: Find, file: str, size: int) -> None:
    fill(tmp_path / "model", whole(**{file: b"[" * (size + 1)}))
    with pytest.raises(ModelError, match=f"model/{file} is larger than {size >> 20} MiB"):
        find(path="model")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_size": 10**400}, r"`hidden_size` is 10{39}…, not a whole number from 1 to 2147483647"),
        ({"hidden_size": 2**31}, "`hidden_size` is 2147483648, not"),
        ({"num_attention_heads": 0}, "`num_attention_heads` is 0, not"),
        ({"max_position_embeddings": -5}, "`max_position_embeddings` is -5, not"),
        ({"vocab_size": "many"}, '`vocab_size` is "many", not'),
        ({"intermediate_size": [64, 0]}, r"`intermediate_size` is \[64, 0\], not"),
        ({"text_config": {"hidden_size": True}}, "`hidden_size` is true, not"),
        ({"architectures": [5]}, r"`architectures` is \[5\], not a list of names"),
        ({"model_type": ["llama"]}, r"`model_type` is \[\"llama\"\], not a name"),
        ({"quantization_config": {"load_in_4bit": True}}, "the weights of model folder model are quantized"),
        ({"text_config": {"compression_config": {}}}, "the weights of model folder model are quantized"),
    ],
)
def test_a_config_that_no_model_can_have_is_refused(
    tmp_path: Path, find: Find, config: dict[str, Any], message: str
) -> None:
    fill(tmp_path / "model", whole(**{"config.json": json.dumps(config).encode()}))
    with pytest.raises(ModelError, match=message) as caught:
        find(path="model")
    assert (caught.value.code, caught.value.exit) == (Code.MODEL_UNUSABLE, Exit.ENVIRONMENT)


def test_sizes_left_open_or_given_by_layer_are_taken(tmp_path: Path, find: Find) -> None:
    config = {"n_inner": None, "num_key_value_heads": [4, 8], "quantization_config": None, "max_position_embeddings": 1}
    fill(tmp_path / "model", whole(**{"config.json": json.dumps(config).encode()}))
    assert found(find(path="model")).kind == "folder"
