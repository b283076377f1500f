"""docs/techniques.md names every tuning technique, with the defaults and the recipes that the code has."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from customspec.header import ModelHeader
from customspec.registry import discover
from customspec.spec import TrainingOptions

PAGE = Path(__file__).parents[1] / "docs" / "techniques.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
RECIPES = {
    row[0]: row[1:7]
    for line in TEXT.split("## Composing")[0].splitlines()
    if len(row := [cell.strip(" `") for cell in line.strip("|").split("|")]) == 7 and row[0] in SECTIONS
}
NEEDED: dict[str, dict[str, Any]] = {"peft": {"method": "LORA"}}


def tuning() -> list[str]:
    offers = [offer for claims in discover().offers.values() for offer in claims]
    ours = [offer.name for offer in offers if offer.kind == "technique" and offer.distribution == "customspec"]
    return sorted(name for name in ours if discover().technique(name).family == "tuning")


def header(hidden: int) -> ModelHeader:
    return ModelHeader("", "", 0, 0, hidden, 1, {"all": (hidden, hidden * 1000)}, (), {})


def filled(name: str, hidden: int, rows: int) -> Any:
    technique = discover().tuning(name)
    given = NEEDED.get(name, {})
    recipe = technique.recipe(technique.options.model_validate(given), header(hidden), rows)
    return technique.options.model_validate({**recipe, **given})


def test_every_tuning_technique_has_a_section_and_a_recipe() -> None:
    assert sorted(SECTIONS) == sorted(RECIPES) == tuning()


@pytest.mark.parametrize("name", tuning())
def test_the_defaults_are_those_of_the_options(name: str) -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", SECTIONS[name], re.MULTILINE))
    own = discover().technique(name).options
    fields = {key: field for key, field in own.model_fields.items() if key not in TrainingOptions.model_fields}
    assert list(documented) == list(fields)
    for key, field in fields.items():
        default = "needed" if field.is_required() else field.get_default(call_default_factory=True)
        if documented[key] == "by the recipe":
            assert default is None
            assert getattr(filled(name, 64, 8), key) is not None
        else:
            assert documented[key] == _written(default), key


@pytest.mark.parametrize("name", tuning())
def test_the_recipe_is_the_one_that_the_page_tells(name: str) -> None:
    small, wide, steps, most, patience, source = RECIPES[name]
    assert filled(name, 576, 200).learning_rate == float(small)
    assert filled(name, 2048, 200).learning_rate == float(wide)
    assert filled(name, 576, 1).num_train_epochs == float(most)
    assert filled(name, 576, math.ceil(int(steps) * 8 / 5)).num_train_epochs == 5
    assert filled(name, 576, math.ceil(int(steps) * 8 / 5) - 1).num_train_epochs in {5, 6}
    assert filled(name, 576, math.ceil(int(steps) * 8 / 6)).num_train_epochs == 6
    assert filled(name, 576, 10**6).num_train_epochs == 3
    assert filled(name, 576, 100).early_stopping_patience == int(patience)  # in ten epochs or more
    assert filled(name, 576, 10**6).early_stopping_patience == math.ceil(0.4 * int(patience))  # in three
    options = filled(name, 576, 200)
    assert (options.per_device_train_batch_size, options.gradient_accumulation_steps) == (8, None)
    assert options.warmup_steps == 0.05
    assert (options.lr_scheduler_type, options.weight_decay) == ("linear", 0.0)
    assert source


def test_the_table_of_rates_has_the_recipes_rates() -> None:
    rates = dict(re.findall(r"^\| (\w+(?:, MLP)?) \| ([\d.e-]+) \|", TEXT, re.MULTILINE))
    assert len(rates) == 14
    for name, rate in rates.items():
        recipe = RECIPES["lora" if name in {"rslora", "dora"} else name.removesuffix(", MLP")]
        assert float(rate) == float(recipe[0]), name


def test_a_rank_stabilized_lora_does_not_grow_with_its_rank_twice() -> None:
    lora = discover().tuning("lora")
    for rank in (4, 8, 64):
        options = lora.options.model_validate({"r": rank, "use_rslora": True})
        assert lora.recipe(options, header(576), 200)["lora_alpha"] == 8
        assert lora.recipe(lora.options.model_validate({"r": rank}), header(576), 200)["lora_alpha"] == 2 * rank


def _written(default: object) -> str:
    if default is None:
        return "absent"
    return default if isinstance(default, str) else json.dumps(default)
