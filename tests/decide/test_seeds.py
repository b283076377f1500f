"""The spread between seeds: of each candidate's estimates, never of pooled rows."""

from __future__ import annotations

from typing import Any

import pytest

from customspec.decide.seeds import spread_of


def candidate(id: str, seed: int, validation: float | None, test: float | None) -> dict[str, Any]:
    metrics = {"validation": validation, "test": test}
    return {
        "id": id,
        "seed": seed,
        "metrics": {split: value and {"accuracy": {"value": value}} for split, value in metrics.items()},
    }


def test_each_split_of_each_id_has_its_spread() -> None:
    found = spread_of([candidate("lora", seed, 0.8 + seed / 100, 0.7) for seed in (0, 2, 4)], "accuracy")
    assert found["lora"]["validation"] == {
        "seeds": [0, 2, 4],
        "values": pytest.approx([0.8, 0.82, 0.84]),
        "min": 0.8,
        "max": pytest.approx(0.84),
        "sd": pytest.approx(0.02),
    }
    assert found["lora"]["test"]["sd"] == 0.0


def test_one_seed_has_no_spread_and_what_did_not_run_is_left_out() -> None:
    candidates = [candidate("lora", 0, 0.8, 0.7), candidate("lora", 1, 0.9, None), candidate("zero", 0, 0.5, 0.5)]
    found = spread_of(candidates, "accuracy")
    assert list(found) == ["lora"]
    assert list(found["lora"]) == ["validation"]
