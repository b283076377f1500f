"""Model folders that would have a library run their code: they load as the plain models that they are."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from pathlib import Path

import pytest
import torch
from gguf_files import write_gguf
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from customspec.errors import MachineError
from customspec.ml.adapters import attach, load, save
from customspec.ml.headers import main, read_header
from customspec.ml.models import convert_gguf, load_model

IDS = torch.tensor([[5, 6, 7, 8]])
HOSTILE = {
    "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.T", None]},
    "trust_remote_code": True,
    "custom_pipelines": {"text-generation": {"impl": "evil.Pipeline"}},
    "_attn_implementation_internal": "somebody/kernels",
    "_target_": "evil.main",
}


@pytest.fixture
def hostile(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny model, with everything that has ever made a library run code from a folder."""
    folder = tmp_path / "hostile"
    shutil.copytree(tiny_folder, folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Config: pass\n")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "somebody/else"}')
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        path = folder / name
        document = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**document, **HOSTILE}))
    return folder


def test_a_hostile_folder_loads_as_the_plain_model_that_it_is(hostile: Path, tiny_folder: Path, tmp_path: Path) -> None:
    model, plain = (load_model(folder, torch.float32) for folder in (hostile, tiny_folder))
    with torch.inference_mode():
        assert torch.equal(model(IDS).logits, plain(IDS).logits)
    assert type(model) is type(plain)
    assert model.name_or_path == str(hostile)
    assert not (tmp_path / "ran").exists()
    assert not any("evil" in name for name in sys.modules)


STRANGE: dict[str, tuple[str, dict[str, object]]] = {
    "rope": ("config.json", {"rope_scaling": {"rope_type": "__class__"}}),
    "heads": ("config.json", {"num_attention_heads": 5}),
    "parts": ("config.json", {"text_config": {"a": 1}}),
    "methods": ("config.json", {"to_dict": "x"}),
    "activation": ("config.json", {"hidden_act": "os.system"}),
    "type": ("config.json", {"dtype": "os.system"}),
    "padding": ("config.json", {"pad_token_id": 10**6}),
    "positions": ("config.json", {"model_type": "gptj", "architectures": ["GPTJForCausalLM"], "n_positions": 2**40}),
    "generation": ("generation_config.json", {"compile_config": {"a": 1}}),
    "special tokens": ("special_tokens_map.json", {"eos_token": {"content": 5}}),
    "tokens": ("tokenizer_config.json", {"extra_special_tokens": [1, 2]}),
    "tokenizer": ("tokenizer.json", {"pre_tokenizer": {"type": "Evil"}}),
}


@pytest.mark.parametrize("name", STRANGE)
def test_whatever_libraries_raise_is_told_in_a_line(
    tiny_folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "target").mkdir()
    file, values = STRANGE[name]
    path = tmp_path / "model" / file
    document = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**document, **values}))
    assert main(str(tmp_path / "model"), str(tmp_path / "target")) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["code"], told["exit"]) == ("CS502", 4)
    assert 10 < len(told["message"]) <= 301
    assert not (tmp_path / "target" / "header.json").exists()


def test_numbers_that_do_not_fit_a_gguf_file_end_with_a_sentence(tiny_folder: Path, tmp_path: Path) -> None:
    content = write_gguf(tmp_path / "tiny.gguf", tiny_folder).read_bytes()
    at = content.index(b"llama.attention.head_count_kv") + len("llama.attention.head_count_kv") + 4
    (tmp_path / "odd.gguf").write_bytes(content[:at] + struct.pack("<I", 3) + content[at + 4 :])
    with pytest.raises(MachineError, match=r"odd\.gguf cannot be used: transformers cannot load it: ValueError: "):
        convert_gguf(tmp_path / "odd.gguf", tmp_path / "folder", torch.float32)
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("what", ["fewer", "renamed", "none", "more asked"])
def test_an_adapter_that_lacks_weights_is_not_used(tiny_folder: Path, tmp_path: Path, what: str) -> None:
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    save(attach(load_model(tiny_folder, torch.float32), config), tmp_path)
    load(load_model(tiny_folder, torch.float32), tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    weights = load_file(file)
    if what == "fewer":
        weights.pop(min(weights))
        save_file(weights, file)
    elif what == "renamed":
        save_file({f"{name}x": numbers for name, numbers in weights.items()}, file)
    elif what == "none":
        file.unlink()
    else:
        asked = json.loads((tmp_path / "adapter_config.json").read_text())
        (tmp_path / "adapter_config.json").write_text(json.dumps({**asked, "use_dora": True}))
    with pytest.raises(MachineError, match=r"its weights lack `base_model|has no adapter_model\.safetensors"):
        load(load_model(tiny_folder, torch.float32), tmp_path)


def save_adapter(base: Path, folder: Path, told: dict[str, object]) -> None:
    """A LoRA whose configuration says something else than it was saved with."""
    save(attach(load_model(base, torch.float32), LoraConfig(r=2, task_type="CAUSAL_LM")), folder)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **told}))


@pytest.mark.filterwarnings("ignore:Unexpected keyword arguments")
@pytest.mark.parametrize(
    "told", [{"peft_type": "NO_SUCH"}, {"peft_type": "P_TUNING"}, {"r": "two"}, {"target_modules": 5}]
)
def test_an_adapter_of_strange_numbers_ends_with_a_sentence(
    tiny_folder: Path, tmp_path: Path, told: dict[str, object]
) -> None:
    save_adapter(tiny_folder, tmp_path, told)
    with pytest.raises(MachineError, match=r"^the adapter .* cannot be used: "):
        load(load_model(tiny_folder, torch.float32), tmp_path)


ENDLESS = r"((\w+\.?)+)+!"


@pytest.mark.parametrize(
    "told",
    [
        {"target_modules": ENDLESS},
        {"exclude_modules": ENDLESS},
        {"rank_pattern": {ENDLESS: 4}},
        {"modules_to_save": [ENDLESS]},
        {"alpha_pattern": {f"x)|{ENDLESS}|(y": 4}},
        {"layer_replication": [[0, 2]] * 50},
        {"lora_alpha": float("nan")},
    ],
    ids=lambda told: next(iter(told)),
)
def test_an_adapter_whose_configuration_never_ends_or_is_none_is_not_used(
    tiny_folder: Path, tmp_path: Path, told: dict[str, object]
) -> None:
    save_adapter(tiny_folder, tmp_path, told)
    with pytest.raises(MachineError, match=r"^the adapter .* cannot be used: .*(for ever|too long|NaN stands)"):
        load(load_model(tiny_folder, torch.float32), tmp_path)


def test_what_is_saved_of_it_names_no_code(hostile: Path, tmp_path: Path) -> None:
    load_model(hostile, torch.float32).save_pretrained(tmp_path / "saved")
    saved = "".join(path.read_text() for path in (tmp_path / "saved").glob("*.json"))
    assert "evil" not in saved
    assert "somebody" not in saved


def test_the_header_of_a_plain_folder_is_read_as_before(tiny_folder: Path) -> None:
    header, tokenizer = read_header(tiny_folder)
    assert header.model_type == "llama"
    assert len(tokenizer) <= header.vocabulary
