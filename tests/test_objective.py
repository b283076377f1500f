"""A tuning technique with a loss of its own, over columns that the prompt does not name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from customspec.testing import TinyModels, check_technique
from support import Ended, Workspace, colours, example

Command = Callable[..., Ended]
Install = Callable[..., None]
OTHER = {"warm": "cold", "cold": "warm"}
OPTIONS = "preferences: {max_steps: 30, learning_rate: 1e-2, beta: 1.0"


@pytest.fixture
def pairs(workspace: Workspace, install: Install, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, its training rows with a better and a worse answer, and the page's technique."""
    install("acme-preferences", "preferences", example("preferences"))
    rows = [{**row, "better": row["label"], "worse": OTHER[row["label"]]} for row in colours(24)]
    workspace.rows("train.jsonl", rows)
    monkeypatch.chdir(workspace.root)
    return workspace


def test_it_keeps_the_contract(install: Install, models: TinyModels) -> None:
    from customspec.registry import discover

    install("acme-preferences", "preferences", example("preferences"))
    check_technique(discover().technique("preferences"), architectures=("gpt2",), models=models)


def test_preferences_are_learned(pairs: Workspace, customspec: Command) -> None:
    pairs.spec(f"techniques: [{{{OPTIONS}, chosen: better, rejected: worse}}}}]")
    ended = customspec("run", "spec.yaml", "--json", "--device", "cpu")
    assert ended.code == 0, ended.err
    (found,) = ended.json["candidates"]
    losses = [loss for _, loss in found["training"]["losses"]]
    # the untrained model is its own reference
    assert found["training"]["untrained_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-3)
    assert losses[-1] < 0.2
    assert found["metrics"]["test"]["accuracy"]["value"] == 1.0


def test_a_missing_column_is_an_error_at_its_option(pairs: Workspace, customspec: Command) -> None:
    pairs.spec(f"techniques: [{{{OPTIONS}, chosen: better, rejected: wrose}}}}]")
    ended = customspec("validate", "spec.yaml")
    assert ended.code == 2
    assert "CS308 `wrose` is not a column of the train rows" in ended.err.splitlines()[0]
    assert "did you mean `worse`?" in ended.err


@pytest.mark.parametrize("value", [None, "", 3])
def test_a_text_that_is_none_is_an_error_with_its_row(pairs: Workspace, customspec: Command, value: Any) -> None:
    rows = [json.loads(line) for line in (pairs.root / "train.jsonl").read_text().splitlines()]
    rows[1]["worse"] = value
    if isinstance(value, int):
        rows = [{**row, "worse": value} for row in rows]
    pairs.rows("train.jsonl", rows)
    pairs.spec(f"techniques: [{{{OPTIONS}, chosen: better, rejected: worse}}}}]")
    ended = customspec("validate", "spec.yaml")
    assert ended.code == 2
    assert "CS411" in ended.err.splitlines()[0]
    assert f"`preferences` looks at {value!r}, which is no text to learn from" in ended.err


def test_what_its_columns_hold_is_part_of_the_fingerprint(pairs: Workspace, customspec: Command) -> None:
    pairs.spec(f"techniques: [{{{OPTIONS}, chosen: better, rejected: worse}}}}]")

    def trained() -> str:
        ended = customspec("plan", "spec.yaml", "--json")
        return str(next(step["fingerprint"] for step in ended.json["steps"] if step["kind"] == "train"))

    before = trained()
    rows = [json.loads(line) for line in (pairs.root / "train.jsonl").read_text().splitlines()]
    rows[0]["worse"] = "neither"
    pairs.rows("train.jsonl", rows)
    assert trained() != before


def test_a_row_of_two_texts_is_estimated_as_two(pairs: Workspace, customspec: Command) -> None:
    options = "learning_rate: 1e-3, num_train_epochs: 3, per_device_train_batch_size: 8, r: 8"
    pairs.spec(
        "techniques:", f"  - preferences: {{{options}, chosen: better, rejected: worse}}", f"  - lora: {{{options}}}"
    )
    ended = customspec("plan", "spec.yaml", "--json")
    assert ended.code == 0, ended.err
    two, one = (candidate["estimate"]["training_flops"] for candidate in ended.json["candidates"])
    # what all rows begin with runs once in both; in a line twice as long each token attends to twice as many
    assert 1.5 * one < two <= 2.5 * one
