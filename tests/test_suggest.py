"""Suggestions for names that are not known."""

from __future__ import annotations

import pytest

from customspec.suggest import LIKELY, NAMES, SUGGESTED, SYNONYMS, closest

LORA = ("r", "lora_alpha", "lora_dropout", "target_modules", "learning_rate", "num_train_epochs", "max_steps")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("LORA_ALPHA", LORA, "lora_alpha"),
        ("learning-rate", LORA, "learning_rate"),
        ("few-shot", ("zero_shot", "few_shot"), "few_shot"),
        ("LoRA", ("lora", "full"), "lora"),
        ("lr", LORA, "learning_rate"),
        ("Lora-Rank", LORA, "r"),
        ("alpha", LORA, "lora_alpha"),
        ("num_fewshot", ("shots", "select"), "shots"),
        ("alhpa", LORA, "lora_alpha"),
        ("targetmodule", LORA, "target_modules"),
        ("learning_rte", LORA, "learning_rate"),
    ],
)
def test_a_name_is_matched_by_spelling_synonym_or_likeness(name: str, known: tuple[str, ...], expected: str) -> None:
    assert closest(name, known) == expected


@pytest.mark.parametrize(("name", "known"), [("lr", ("shots",)), ("zzz", LORA), ("", LORA), ("k", ()), ("rr", LORA)])
def test_nothing_is_suggested_when_nothing_is_near(name: str, known: tuple[str, ...]) -> None:
    assert closest(name, known) is None


def test_a_spelling_goes_before_a_synonym_and_a_synonym_before_likeness() -> None:
    assert closest("Steps", ("max_steps", "steps")) == "steps"
    assert closest("model", ("models_", "base_model"), {"model": "base_model"}) == "base_model"


def test_own_synonyms_replace_the_common_ones() -> None:
    assert closest("lr", LORA, {}) is None
    assert closest("speed", LORA, {"speed": "learning_rate"}) == "learning_rate"


def test_every_common_synonym_leads_to_its_name() -> None:
    for known in (SUGGESTED, NAMES):
        assert all(closest(synonym, [meant], known) == meant for synonym, meant in known.items())
    assert not SYNONYMS.keys() & LIKELY.keys()
