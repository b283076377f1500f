"""Model folders that would have a library run their code: they load as the plain models that they are."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from customspec.ml.headers import read_header
from customspec.ml.models import load_model

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


def test_what_is_saved_of_it_names_no_code(hostile: Path, tmp_path: Path) -> None:
    load_model(hostile, torch.float32).save_pretrained(tmp_path / "saved")
    saved = "".join(path.read_text() for path in (tmp_path / "saved").glob("*.json"))
    assert "evil" not in saved
    assert "somebody" not in saved


def test_the_header_of_a_plain_folder_is_read_as_before(tiny_folder: Path) -> None:
    header, tokenizer = read_header(tiny_folder)
    assert header.model_type == "llama"
    assert len(tokenizer) <= header.vocabulary
