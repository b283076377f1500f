"""LoRA and full fine-tuning on tiny models: what trains, what stays, what is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from customspec.header import ModelHeader
from customspec.hookspecs import Task, TuningTechnique
from customspec.inputs.encoding import Encoded
from customspec.ml.headers import read_header
from customspec.ml.models import load_model
from customspec.ml.training import seed_everything, train
from customspec.prompts import Example
from customspec.spec import TrainingOptions
from customspec_tuning.full import Full, FullOptions
from customspec_tuning.ia3 import Ia3, Ia3Options
from customspec_tuning.ln_tuning import LnTuning, LnTuningOptions
from customspec_tuning.lora import Lora, LoraOptions
from support import make_model

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
}
NAMED = {"llama": ("q_proj", "down_proj"), "gpt2": ("c_attn", "mlp.c_proj")}
each = pytest.mark.parametrize("architecture", ARCHITECTURES)
IDS = torch.arange(10, 34).reshape(3, 8)
ROWS = [
    Encoded(Example(f"train:{i}", None, "", ""), tuple(range(20 + i, 24 + 2 * i)), (30 + i, 50 + i, 6))
    for i in range(6)
]
TASK = Task(rows=[(row.prompt, row.answer) for row in ROWS], encode=len, instruction=None, choices=None, steps=3)  # type: ignore[arg-type]  # never called
Trained = Callable[[str, str], tuple[nn.Module, dict[str, Tensor]]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        name: make_model(root / name, name, initializer_range=0.2, **options) for name, options in ARCHITECTURES.items()
    }


@pytest.fixture(scope="module")
def trained(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A function: a technique's model after three steps, and its base's weights before; each is trained once."""
    known: dict[tuple[str, str], tuple[nn.Module, dict[str, Tensor]]] = {}

    def get(technique: str, architecture: str) -> tuple[nn.Module, dict[str, Tensor]]:
        if (technique, architecture) not in known:
            base = load_model(folders[architecture], torch.float32)
            before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
            model = adapted(technique, base)
            run(model, tmp_path_factory.mktemp("scratch"))
            known[technique, architecture] = model.eval(), before
        return known[technique, architecture]

    return get


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


# --- what is saved


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
