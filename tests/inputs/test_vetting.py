from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from customspec.inputs.vetting import ADAPTER, code_named_in, vetted


def folder_of(root: Path, **files: Any) -> Path:
    root.mkdir(exist_ok=True)
    for name, value in files.items():
        (root / name.replace("__", ".")).write_text(value if isinstance(value, str) else json.dumps(value))
    return root


CODE: list[dict[str, Any]] = [
    {"auto_map": {"AutoConfig": "configuration.Config"}},
    {"trust_remote_code": True},
    {"custom_pipelines": {"x": {"impl": "pipeline.X"}}},
    {"_target_": "os.system"},
    {"auto_mapping": {"parent_library": "os", "base_model_class": "system"}},
    {"text_config": {"auto_map": {"AutoConfig": "a.B"}}},
    {"layers": [{"deep": {"_target_": "os.system"}}]},
    {"_attn_implementation": "someone/kernels"},
    {"_attn_implementation_internal": "someone/kernels:flash"},
    {"experts_implementation": "a/b"},
    {"attn_implementation": {"": "someone/kernels"}},
    {"model_file": "model.py"},
    {"megatron_config": {"a": 1}},
    {"code_revision": "main"},
    {"__init__": "x"},
    {"tokenizer_class": "os.system"},
]


@pytest.mark.parametrize("value", CODE, ids=str)
def test_no_key_that_names_code_is_left(tmp_path: Path, value: dict[str, Any]) -> None:
    model = folder_of(tmp_path / "model", config__json={"model_type": "llama", "hidden_size": 8, **value})
    assert code_named_in(model)
    with vetted(model) as view:
        kept = json.loads((view / "config.json").read_text())
        assert code_named_in(view) == ()
    assert (kept["model_type"], kept["hidden_size"]) == ("llama", 8)


PLAIN: list[dict[str, Any]] = [
    {"_attn_implementation": "sdpa", "_attn_implementation_autoset": True},
    {"attn_implementation": None},
    {"tokenizer_class": "LlamaTokenizerFast"},
    {"tokenizer_class": "TokenizersBackend"},
    {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
    {"auto_map": None, "trust_remote_code": False},
    {"quantization_config": {"quant_method": "fp8"}},
]


@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_what_names_no_code_stays(tmp_path: Path, value: dict[str, Any]) -> None:
    model = folder_of(tmp_path / "model", config__json=value)
    assert code_named_in(model) == ()
    with vetted(model) as view:
        assert json.loads((view / "config.json").read_text()) == value


def test_a_tokenizer_names_no_file_of_this_machine(tmp_path: Path) -> None:
    model = folder_of(
        tmp_path / "model",
        tokenizer_config__json={"vocab_file": "/etc/passwd", "tokenizer_file": "x", "eos_token": "."},
    )
    with vetted(model) as view:
        assert json.loads((view / "tokenizer_config.json").read_text()) == {"eos_token": "."}


def test_only_named_files_are_seen(tmp_path: Path) -> None:
    model = folder_of(
        tmp_path / "model",
        config__json={},
        model__safetensors="weights",
        tokenizer__json="{}",
        pytorch_model__bin="pickle",
        modeling__py="code",
        adapter_config__json={"base_model_name_or_path": "someone/else"},
        adapter_model__safetensors="an adapter nobody asked for",
    )
    with vetted(model) as view:
        assert {path.name for path in view.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
        assert (view / "model.safetensors").read_text() == "weights"
    assert not view.exists()


def test_of_an_adapter_only_the_adapter_is_seen(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "auto_mapping": {"parent_library": "os"}, "megatron_core": "megatron.core"}
    adapter = folder_of(
        tmp_path / "adapter", adapter_config__json=config, adapter_model__safetensors="w", adapter_model__bin="pickle"
    )
    with vetted(adapter, ADAPTER) as view:
        assert {path.name for path in view.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
        kept = json.loads((view / "adapter_config.json").read_text())
    assert kept == {"peft_type": "LORA", "megatron_core": "megatron.core"}
    assert code_named_in(adapter) == ("adapter_config.json: auto_mapping",)


@pytest.mark.parametrize("text", ["[1]", "null", '{"a":' * 100_000, '{"a": [' + "[" * 100 + "]" * 100 + "]}", "{"])
def test_what_is_no_plain_object_is_refused(tmp_path: Path, text: str) -> None:
    model = folder_of(tmp_path / "model", config__json=text)
    with pytest.raises(ValueError, match=r"nested too deeply|not a JSON object|Expecting"), vetted(model):
        pass


def test_what_is_of_no_use_here_is_left_out_and_is_no_code(tmp_path: Path) -> None:
    other = {"_attn_implementation": "flex_attention", "text_config": {"attn_implementation": "flash_attention_2"}}
    labels = {"num_labels": 10**9, "id2label": {"0": "a"}, "label2id": {"a": 0}}
    model = folder_of(tmp_path / "model", config__json={"hidden_size": 8, **other, **labels, "return_dict": False})
    assert code_named_in(model) == ()
    with vetted(model) as view:
        assert json.loads((view / "config.json").read_text()) == {"hidden_size": 8, "text_config": {}}


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    model = folder_of(tmp_path / "model", generation_config__json="{")
    with pytest.raises(ValueError, match=r"^generation_config\.json is not JSON: "), vetted(model):
        pass
