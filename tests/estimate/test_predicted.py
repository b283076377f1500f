"""What the plan says of every candidate's cost, and that the results repeat it beside what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from customspec.estimate import Estimate
from customspec.plan import Plan
from support import Ended, Workspace

Command = Callable[..., Ended]
GOAL = "goal: {metric: accuracy, at_least: 0.5}"
KEYS = {field.name for field in fields(Estimate)}
THREE = "techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2, max_steps: 3, per_device_train_batch_size: 4}}]"


def estimates(document: Any) -> dict[str, dict[str, Any]]:
    return {candidate["key"]: candidate["estimate"] for candidate in document["candidates"]}


def test_the_plan_estimates_every_candidate(workspace: Workspace, customspec: Command) -> None:
    told = customspec("plan", workspace.spec(THREE), "--json").json
    assert estimates(json.loads(json.dumps(Plan.from_json(told).to_json()))) == estimates(told)
    zero, few, lora = (estimates(told)[key] for key in ("zero_shot@0", "few_shot@0", "lora@0"))
    assert set(zero) == set(few) == set(lora) == KEYS
    assert zero["trainable_parameters"] == zero["artifact_bytes"] == zero["training_flops"] == 0
    assert few["prompt_tokens"] > zero["prompt_tokens"] == lora["prompt_tokens"] > 0
    assert few["evaluation_flops"] > zero["evaluation_flops"] > 0
    assert lora["trainable_parameters"] * 4 == lora["artifact_bytes"] > 0
    assert lora["training_flops"] > 0


def test_techniques_that_ask_differently_are_counted_apart(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [one_shot, zero_shot]", "strategy: ladder", GOAL)
    told = customspec("plan", spec, "--json").json
    assert [candidate["id"] for candidate in told["candidates"]] == ["zero_shot", "one_shot"]
    zero, one = estimates(told).values()
    assert one["prompt_tokens"] > zero["prompt_tokens"]


def test_rows_that_alternate_do_not_fool_the_count(workspace: Workspace, customspec: Command) -> None:
    rows = [{"text": ("red " * 40 if i % 3 == 0 else "blue"), "label": "warm"} for i in range(24)]
    workspace.rows("validation.jsonl", rows)
    spec = workspace.spec("techniques: [zero_shot]")
    told = estimates(customspec("plan", spec, "--json").json)["zero_shot@0"]["prompt_tokens"]
    long, short = (_tokens(workspace, customspec, [rows[at]]) for at in (0, 1))
    assert short < told < long - (long - short) / 4  # every third row alone would say `long`


def test_a_rung_weighs_what_its_artifact_holds_and_not_only_what_trains(
    workspace: Workspace, customspec: Command
) -> None:
    twice = "{id: pissa, lora: {r: 3, init_lora_weights: pissa}}"  # saved as a LoRA of rank 6
    spec = workspace.spec(f"techniques: [{twice}, {{lora: {{r: 4}}}}]", "strategy: ladder", GOAL)
    lora, pissa = customspec("plan", spec, "--json").json["candidates"]
    assert (lora["id"], pissa["id"]) == ("lora", "pissa")
    assert pissa["trainable_parameters"] < lora["trainable_parameters"]
    assert pissa["estimate"]["artifact_bytes"] == 4 * 2 * pissa["trainable_parameters"]


def _tokens(workspace: Workspace, customspec: Command, rows: list[dict[str, str]]) -> float:
    workspace.rows("validation.jsonl", rows)
    spec = workspace.spec("techniques: [zero_shot]", name="one.yaml")
    found: float = estimates(customspec("plan", spec, "--json").json)["zero_shot@0"]["prompt_tokens"]
    return found


def test_the_results_repeat_the_plans_estimate(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    told = estimates(customspec("run", spec, "--json").json)
    # the run may have measured the machine first; from then on plans rest on what it found
    assert told == estimates(customspec("plan", spec, "--json").json)


def test_fewer_steps_and_rows_cost_less(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(THREE)
    whole = estimates(customspec("plan", spec, "--json").json)["lora@0"]
    less = estimates(customspec("plan", spec, "--max-steps", "1", "--limit", "6", "--json").json)["lora@0"]
    assert less["training_flops"] == pytest.approx(whole["training_flops"] / 3)
    # what the prompts share runs once, however many rows there are
    assert whole["evaluation_flops"] / 2 < less["evaluation_flops"] < whole["evaluation_flops"]


def test_what_is_not_there_is_not_estimated(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot, lora]")
    ended = customspec("plan", spec, "--set", "base_model={hub: nobody/nothing}", "--json")
    zero, lora = estimates(ended.json).values()
    unknown = dict.fromkeys(KEYS - {"calibrated"}) | {"calibrated": False}
    assert lora == unknown
    assert zero == {**unknown, "trainable_parameters": 0}


def test_rungs_go_from_prompting_to_tuning_each_from_cheap_to_expensive() -> None:
    known = [
        Estimate(trainable_parameters=0, prompt_tokens=20.0, artifact_bytes=0),
        Estimate(trainable_parameters=0, prompt_tokens=90.0, artifact_bytes=0),
        Estimate(trainable_parameters=9, prompt_tokens=5.0, artifact_bytes=36, training_flops=1.0),
        Estimate(trainable_parameters=9, prompt_tokens=5.0, artifact_bytes=36, training_flops=2.0),
        Estimate(trainable_parameters=5, prompt_tokens=5.0, artifact_bytes=80, training_flops=0.5),
    ]
    mixed = known[::-1]
    assert sorted(mixed, key=lambda estimate: estimate.rung) == known
    unknown = Estimate()  # a tuned candidate of a model that is not there yet
    assert unknown.rung > known[1].rung
