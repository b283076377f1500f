"""What each technique trains, counted by its paper's formula; and names of modules that match nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from customspec.estimate.shape import Shape
from customspec.header import ModelHeader
from customspec.ml.headers import read_header
from customspec.registry import discover
from customspec.testing import TinyModels

# the kit's llama: width 64, feed-forward 128, two layers, four heads of 16 with two for keys and values
MAPS = 2 * [
    (64, 64),
    (64, 32),
    (64, 32),
    (64, 64),
    (64, 128),
    (64, 128),
    (128, 64),
]  # (inputs, outputs): q k v o gate up down
LAST = (128, 64)
COUNTS: dict[str, tuple[dict[str, Any], int]] = {
    # r (inputs + outputs); DoRA: and a magnitude per output
    "lora": ({"r": 4}, sum(4 * (i + o) for i, o in MAPS)),
    "lora, dora": ({"r": 4, "use_dora": True}, sum(4 * (i + o) + o for i, o in MAPS)),
    # P (outputs x r), Q (r x inputs), r singular values
    "adalora": ({"init_r": 6, "target_r": 3}, sum(6 * (i + o) + 6 for i, o in MAPS)),
    # a factor per output; per input of the feed-forward block's last map
    "ia3": ({}, sum(i if (i, o) == LAST else o for i, o in MAPS)),
    # the vectors d, of the rank, and b, of the outputs
    "vera": ({"r": 32}, sum(32 + o for _, o in MAPS)),
    # a skew-symmetric matrix of b (b - 1) / 2 free numbers per block of inputs
    "oft": ({"oft_block_size": 16}, sum(i // 16 * (16 * 15 // 2) for i, _ in MAPS)),
    # a matrix per block of inputs, and a factor per output
    "boft": ({"boft_block_size": 4}, sum(i // 4 * 16 + o for i, o in MAPS)),
    # two pairs of low-rank factors
    "loha": ({"r": 4}, sum(2 * 4 * (i + o) for i, o in MAPS)),
    # 4 x 4, and r (inputs / 4 + outputs / 4)
    "lokr": ({"r": 2, "decompose_factor": 4}, sum(16 + 2 * (i // 4 + o // 4) for i, o in MAPS)),
    # two normalizations a layer, and the last
    "ln_tuning": ({}, 5 * 64),
    # P x width
    "prompt_tuning": ({"num_virtual_tokens": 7}, 7 * 64),
    # P x layers x (key + value) x width of the keys, which a grouped attention makes smaller
    "prefix_tuning": ({"num_virtual_tokens": 7}, 7 * 2 * 2 * 32),
    # P x width; two directions of four gates with two biases, in each of two layers; and a head of two maps
    "p_tuning": (
        {"num_virtual_tokens": 7, "encoder_hidden_size": 8},
        7 * 64 + 2 * 4 * 8 * (64 + 8 + 2) + 2 * 4 * 8 * (16 + 8 + 2) + (16 + 1) * 16 + (16 + 1) * 64,
    ),
    # embeddings, tied to no head; maps; five normalizations
    "full": ({}, 2 * 300 * 64 + sum(i * o for i, o in MAPS) + 5 * 64),
}
TARGETING = ("adalora", "boft", "ia3", "loha", "lokr", "lora", "oft", "vera")


@pytest.fixture(scope="module")
def llama(models: TinyModels) -> ModelHeader:
    return read_header(models.folder("llama"))[0]


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_parameters_train_as_the_paper_says(llama: ModelHeader, name: str) -> None:
    given, count = COUNTS[name]
    technique = discover().tuning(name.split(",")[0])
    options = technique.options.model_validate(given)
    filled = technique.options.model_validate({**technique.recipe(options, llama, 8), **given})
    assert technique.trainable_parameters(filled, llama) == count


@pytest.mark.parametrize("options", [{}, {"prefix_projection": True, "encoder_hidden_size": 8}], ids=str)
def test_a_prefix_is_as_wide_as_the_keys_of_a_decoder_that_is_one_part_of_a_model(
    llama: ModelHeader, options: dict[str, Any]
) -> None:
    nested = replace(llama, config={"model_type": "several", "num_attention_heads": 3, "text_config": llama.config})
    technique = discover().tuning("prefix_tuning")
    chosen = technique.options.model_validate(options)
    assert technique.trainable_parameters(chosen, nested) == technique.trainable_parameters(chosen, llama)
    assert nested.key_width == 32
    assert Shape.of(nested) == Shape.of(llama)


def test_every_technique_that_takes_names_of_modules_is_looked_at() -> None:
    offers = [offer for claims in discover().offers.values() for offer in claims]
    names = [offer.name for offer in offers if offer.kind == "technique" and offer.distribution == "customspec"]
    taking = [name for name in names if "target_modules" in discover().technique(name).options.model_fields]
    assert sorted(taking) == sorted(TARGETING)


@pytest.mark.parametrize("name", TARGETING)
def test_one_name_of_several_that_matches_nothing_is_named(llama: ModelHeader, name: str) -> None:
    technique = discover().tuning(name)
    good = technique.options.model_validate({"target_modules": ["q_proj", "down_proj"]})
    assert technique.refusal(good, llama) is None
    refusal = technique.refusal(technique.options.model_validate({"target_modules": ["q_proj", "dwn_proj"]}), llama)
    assert refusal is not None
    assert (refusal.option, refusal.item, refusal.hint) == ("target_modules", 1, "did you mean `down_proj`?")
    assert "`dwn_proj`" in refusal.message
