"""What tuning techniques save, and that it opens as what was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from tunings import TASK, Trained, difference, each, header, logits, lora, trainable

from customspec.ml.models import load_model
from customspec_tuning.full import Full, FullOptions
from customspec_tuning.ia3 import Ia3, Ia3Options
from customspec_tuning.ln_tuning import LnTuning, LnTuningOptions
from customspec_tuning.lora import Lora


@each
@pytest.mark.parametrize("technique", ["lora", "full"])
def test_what_was_saved_answers_as_what_was_trained(
    folders: dict[str, Path], trained: Trained, tmp_path: Path, technique: str, architecture: str
) -> None:
    model, _ = trained(technique, architecture)
    expected = logits(model)
    base = load_model(folders[architecture], torch.float32)
    assert difference(logits(base), expected) > 0.01
    tool: Lora | Full = Lora() if technique == "lora" else Full()
    tool.save(model, tmp_path)
    assert difference(logits(tool.load(base, tmp_path)), expected) <= 1e-6
    assert not list(tmp_path.glob("*.bin"))


@each
def test_a_saved_lora_opens_with_plain_peft(
    folders: dict[str, Path], trained: Trained, tmp_path: Path, architecture: str
) -> None:
    model, _ = trained("lora", architecture)
    expected = logits(model)
    Lora().save(model, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    base = AutoModelForCausalLM.from_pretrained(str(folders[architecture]), dtype=torch.float32)
    assert difference(logits(PeftModel.from_pretrained(base, str(tmp_path))), expected) <= 1e-6


def test_a_saved_lora_names_no_path_of_this_machine(folders: dict[str, Path], trained: Trained, tmp_path: Path) -> None:
    Lora().save(trained("lora", "llama")[0], tmp_path)
    assert str(folders["llama"].parent) not in (tmp_path / "adapter_config.json").read_text()


def test_a_saved_lora_holds_what_was_trained_and_nothing_else(trained: Trained, tmp_path: Path) -> None:
    model, _ = trained("lora", "llama")
    Lora().save(model, tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in saved.values()) == trainable(model)


@each
def test_a_fully_tuned_model_opens_with_plain_transformers(trained: Trained, tmp_path: Path, architecture: str) -> None:
    model, _ = trained("full", architecture)
    expected = logits(model)
    Full().save(model, tmp_path)
    assert difference(logits(AutoModelForCausalLM.from_pretrained(str(tmp_path))), expected) <= 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fully_tuned_model_is_saved_in_the_type_that_its_base_was_loaded_in(
    folders: dict[str, Path], tmp_path: Path, dtype: torch.dtype
) -> None:
    base = load_model(folders["llama"], dtype)
    expected = logits(base)
    model = Full().adapt(FullOptions(), base, TASK)
    Full().save(model, tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {dtype}
    loaded = Full().load(load_model(folders["llama"], dtype), tmp_path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}
    assert torch.equal(logits(loaded), expected)


@each
def test_a_merged_lora_agrees_with_the_unmerged(trained: Trained, tmp_path: Path, architecture: str) -> None:
    import copy

    model = copy.deepcopy(trained("lora", architecture)[0])
    expected = logits(model)
    assert isinstance(model, PeftModel)
    merged = model.merge_and_unload()
    assert not any("lora_" in name for name, _ in merged.named_parameters())
    assert difference(logits(merged), expected) <= 1e-5


def test_rank_stabilized_lora_scales_by_the_root_of_the_rank(folders: dict[str, Path]) -> None:
    scales = []
    for stabilized in (False, True):
        options = lora(r=4, lora_alpha=8, use_rslora=stabilized)
        model = Lora().adapt(options, load_model(folders["llama"], torch.float32), TASK)
        scales.append(model.get_submodule("base_model.model.model.layers.0.mlp.up_proj").scaling)
    assert scales == [{"default": 2.0}, {"default": 4.0}]


# --- IA3


@pytest.mark.parametrize("name", ["c_proj", "mlp.c_proj", "attn.c_proj", "h.1.mlp.c_proj"])
def test_ia3_rescales_what_the_last_map_of_a_block_takes_in_however_it_was_named(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    options = Ia3Options(target_modules=(name,))
    model = Ia3().adapt(options, load_model(folders["gpt2"], torch.float32), TASK)
    assert Ia3().trainable_parameters(options, header(folders["gpt2"])) == trainable(model)
    factors = [(name, value.numel()) for name, value in model.named_parameters() if value.requires_grad]
    assert factors
    assert all(count == (128 if ".mlp." in name else 32) for name, count in factors)  # inputs, else outputs
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.mul_(torch.linspace(0.5, 2, value.numel()).view_as(value))
    expected = logits(model)
    Ia3().save(model, tmp_path)
    base = load_model(folders["gpt2"], torch.float32)
    assert difference(logits(PeftModel.from_pretrained(base, str(tmp_path))), expected) <= 1e-6


# --- LN tuning


@each
def test_ln_tuning_keeps_what_it_learned_in_float32_on_a_bfloat16_base(
    folders: dict[str, Path], tmp_path: Path, architecture: str
) -> None:
    options = LnTuningOptions()
    model = LnTuning().adapt(options, load_model(folders[architecture], torch.bfloat16), TASK)
    learned = {name: value for name, value in model.named_parameters() if value.requires_grad}
    with torch.no_grad():
        for value in learned.values():
            value.add_(1 / 3)  # not a bfloat16
    LnTuning().save(model, tmp_path)
    loaded = dict(LnTuning().load(load_model(folders[architecture], torch.bfloat16), tmp_path).named_parameters())
    assert learned
    assert all(torch.equal(loaded[name], value) for name, value in learned.items())
