"""LoRA and full fine-tuning on tiny models: what trains, what stays, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tunings import TASK, Trained, each, header, logits, lora, trainable

from customspec.hookspecs import TuningTechnique
from customspec.ml.models import load_model
from customspec.spec import TrainingOptions
from customspec_tuning.full import Full, FullOptions
from customspec_tuning.lora import Lora, LoraOptions

NAMED = {"llama": ("q_proj", "down_proj"), "gpt2": ("c_attn", "mlp.c_proj")}


# --- what trains


@each
@pytest.mark.parametrize("rank", [1, 4, 32])
def test_lora_trains_as_many_parameters_as_the_header_says(
    folders: dict[str, Path], architecture: str, rank: int
) -> None:
    for targets in ("all-linear", NAMED[architecture], NAMED[architecture][:1]):
        options = lora(r=rank, target_modules=targets)
        model = Lora().adapt(options, load_model(folders[architecture], torch.float32), TASK)
        assert Lora().trainable_parameters(options, header(folders[architecture])) == trainable(model)


def test_loras_parameters_by_hand(folders: dict[str, Path]) -> None:
    # a layer has q, o: 32+32; k, v: 32+16; gate, up, down: 32+64; two layers, rank 4
    expected = 2 * 4 * (2 * 64 + 2 * 48 + 3 * 96)
    assert Lora().trainable_parameters(lora(), header(folders["llama"])) == expected


def test_a_module_that_two_names_match_counts_once(folders: dict[str, Path]) -> None:
    options = lora(target_modules=("q_proj", "self_attn.q_proj"))
    model = Lora().adapt(options, load_model(folders["llama"], torch.float32), TASK)
    assert Lora().trainable_parameters(options, header(folders["llama"])) == trainable(model) == 2 * 4 * 64


@each
def test_full_trains_every_parameter(folders: dict[str, Path], architecture: str) -> None:
    model = Full().adapt(FullOptions(), load_model(folders[architecture], torch.bfloat16), TASK)
    expected = Full().trainable_parameters(FullOptions(), header(folders[architecture]))
    assert expected == trainable(model) == sum(parameter.numel() for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loras_own_weights_are_float32_and_the_bases_stay_as_loaded(
    folders: dict[str, Path], architecture: str, dtype: torch.dtype
) -> None:
    model = Lora().adapt(lora(), load_model(folders[architecture], dtype), TASK)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {dtype}
    assert all(("lora_" in name) == p.requires_grad for name, p in model.named_parameters())


@each
def test_lora_starts_as_the_model_itself(folders: dict[str, Path], architecture: str) -> None:
    base = load_model(folders[architecture], torch.float32)
    expected = logits(base)
    assert torch.equal(logits(Lora().adapt(lora(), base, TASK)), expected)


@each
def test_training_lora_leaves_every_bit_of_the_base_as_it_was(trained: Trained, architecture: str) -> None:
    model, before = trained("lora", architecture)
    assert isinstance(model, PeftModel)
    after = {name.replace("base_layer.", ""): tensor for name, tensor in model.get_base_model().state_dict().items()}
    assert before.keys() <= after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    moved = [name for name, tensor in after.items() if "lora_B" in name and tensor.any()]
    assert len(moved) == sum("lora_B" in name for name in after) > 0


@each
def test_training_everything_moves_everything(trained: Trained, architecture: str) -> None:
    model, before = trained("full", architecture)
    after = dict(model.named_parameters())
    still = [name for name in after if torch.equal(after[name], before[name])]
    assert still == []


# --- what is refused, and what is chosen for the person


def test_a_name_that_matches_nothing_is_refused_with_its_place_and_a_guess(folders: dict[str, Path]) -> None:
    model = header(folders["llama"])
    refusal = Lora().refusal(lora(target_modules=("q_proj", "v_prj")), model)
    assert refusal is not None
    assert (refusal.option, refusal.item, refusal.hint) == ("target_modules", 1, "did you mean `v_proj`?")
    assert refusal.message == "no linear module of LlamaForCausalLM matches `v_prj`"


def test_without_a_guess_the_names_that_are_there_are_listed(folders: dict[str, Path]) -> None:
    refusal = Lora().refusal(lora(target_modules=("zzzzzz",)), header(folders["gpt2"]))
    assert refusal is not None
    assert refusal.hint == "it has: c_attn, c_fc, c_proj"


@pytest.mark.parametrize("name", ["lm_head", "proj", "_proj", "embed_tokens", "layers.0", ""])
def test_what_is_no_whole_part_of_a_linear_modules_name_matches_nothing(folders: dict[str, Path], name: str) -> None:
    options = LoraOptions.model_construct(r=4, lora_alpha=8, target_modules=("q_proj", name))
    refusal = Lora().refusal(options, header(folders["llama"]))
    assert refusal is not None
    assert refusal.item == 1


def test_a_rank_beyond_the_smallest_targeted_dimension_is_refused(folders: dict[str, Path]) -> None:
    model, targets = header(folders["llama"]), ("q_proj", "k_proj")
    assert Lora().refusal(lora(r=16, target_modules=targets), model) is None
    refusal = Lora().refusal(lora(r=17, target_modules=targets), model)
    assert refusal is not None
    assert (refusal.option, refusal.message) == ("r", "rank 17 exceeds the smallest targeted dimension, 16")


def test_only_targeted_dimensions_bound_the_rank(folders: dict[str, Path]) -> None:
    assert Lora().refusal(lora(r=32, target_modules=("up_proj",)), header(folders["llama"])) is None


@pytest.mark.parametrize(("technique", "options"), [(Lora(), LoraOptions()), (Full(), FullOptions())])
def test_a_recipe_fills_options_that_are_valid_and_enough_to_train(
    folders: dict[str, Path], technique: TuningTechnique, options: TrainingOptions
) -> None:
    recipe = technique.recipe(options, header(folders["llama"]), 100)
    filled = technique.options.model_validate({**recipe, **options.model_dump(exclude_none=True)})
    assert filled.learning_rate
    assert filled.num_train_epochs
    assert filled.per_device_train_batch_size
    assert getattr(filled, "lora_alpha", 16) == 16
    assert technique.refusal(filled, header(folders["gpt2"])) is None
