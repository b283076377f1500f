"""What cannot fit the machine's memory never runs: smaller batches where they were left open, else a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from plans import compiled

from customspec import machine as machines
from customspec.compiler.curve import curve_parts
from customspec.estimate.memory import usable
from customspec.estimate.rates import UNKNOWN
from support import Ended, Workspace, colours

Command = Callable[..., Ended]
LORA = "techniques: [zero_shot, {lora: {r: 2}}]"
SEARCH = "techniques: [zero_shot, {lora: {r: 2}, search: {learning_rate: [1e-3, 1e-2]}}]"
GIVEN = "techniques: [zero_shot, {lora: {r: 2, per_device_train_batch_size: 8}}]"


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """With training rows so long that a training needs more memory than an evaluation."""
    rows = [{**row, "text": row["text"] + ", so to say" * 25} for row in colours(24)]
    workspace.rows("train.jsonl", rows)
    # what was measured belongs to a machine and its memory: a machine that shrinks would be another, not measured yet
    (workspace.root / ".customspec" / "memo" / "calibration").unlink(missing_ok=True)
    return workspace


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make this a machine of so many bytes."""
    return lambda size: monkeypatch.setattr(machines, "_memory", lambda: size)


def peaks(customspec: Command, *arguments: Any) -> list[int]:
    plan = customspec("plan", *arguments, "--json", "--device", "cpu").json
    return [candidate["estimate"]["peak_memory_bytes"] for candidate in plan["candidates"]]


def training_options(customspec: Command, *arguments: Any) -> dict[str, Any]:
    plan = customspec("plan", *arguments, "--json", "--device", "cpu").json
    (step,) = (step for step in plan["steps"] if step["kind"] == "train")
    options: dict[str, Any] = step["params"]["technique"]["options"]
    return options


def batch(options: dict[str, Any]) -> tuple[int, int]:
    return options["per_device_train_batch_size"], options["gradient_accumulation_steps"] or 1


def test_recipes_stay_where_they_fit(workspace: Workspace, customspec: Command) -> None:
    assert batch(training_options(customspec, workspace.spec(LORA))) == (8, 1)


def test_an_open_batch_becomes_the_largest_that_fits_with_as_many_rows_a_step(
    workspace: Workspace, customspec: Command, shrink: Callable[[int], None]
) -> None:
    spec = workspace.spec(LORA)
    four = peaks(customspec, spec, "--set", "techniques.1.lora.per_device_train_batch_size=4")[1]
    assert peaks(customspec, spec)[0] < four < peaks(customspec, spec)[1]
    shrink(four)
    assert batch(training_options(customspec, spec)) == (4, 2)
    assert peaks(customspec, spec)[1] == four
    said = customspec("plan", spec, "--device", "cpu").out
    assert "note: lora@0: per_device_train_batch_size: 4 with gradient_accumulation_steps: 2, to fit" in said


def test_every_trial_of_a_search_takes_the_batch_that_fits(
    workspace: Workspace, customspec: Command, shrink: Callable[[int], None]
) -> None:
    spec = workspace.spec(SEARCH)
    shrink(peaks(customspec, spec, "--set", "techniques.1.lora.per_device_train_batch_size=4")[1])
    plan = customspec("plan", spec, "--json", "--device", "cpu").json
    searched, trained = (step for step in plan["steps"] if step["kind"] in {"search", "train"})
    assert batch(searched["params"]["technique"]["options"]) == (4, 2)
    assert batch(trained["params"]["technique"]["options"]) == (4, 2)


def test_a_search_over_batches_is_estimated_at_the_largest(workspace: Workspace, customspec: Command) -> None:
    fixed = peaks(customspec, workspace.spec("techniques: [{lora: {r: 2, per_device_train_batch_size: 12}}]"))[0]
    searched = "techniques: [{lora: {r: 2}, search: {per_device_train_batch_size: [2, 12, 4]}}]"
    assert peaks(customspec, workspace.spec(searched))[0] == fixed


def test_every_size_of_a_learning_curve_takes_the_batch_that_fits(workspace: Workspace) -> None:
    spec = workspace.spec(LORA)
    candidate = compiled(spec, machine=replace(UNKNOWN, memory_bytes=2**40)).plan.candidates[1]
    room = int(candidate.estimate["peak_memory_bytes"] or 0) - 1
    smaller = compiled(spec, machine=replace(UNKNOWN, memory_bytes=room))
    (train,) = (step for step in smaller.plan.steps if step.kind == "train")
    taken = batch(train.params["technique"]["options"])
    assert taken[0] < 8
    for part in curve_parts(smaller, "lora@0", (25, 50)):
        (train,) = (step for step in part.steps if step.kind == "train")
        assert batch(train.params["technique"]["options"]) == taken


def test_a_given_batch_is_refused_at_its_place_and_told_which_one_fits(
    workspace: Workspace, customspec: Command, shrink: Callable[[int], None]
) -> None:
    spec = workspace.spec(GIVEN)
    shrink(peaks(customspec, spec, "--set", "techniques.1.lora.per_device_train_batch_size=2")[1])
    ended = customspec("plan", spec, "--device", "cpu")
    assert ended.code == 4
    assert "spec.yaml:10:39: CS703 `lora` needs about" in ended.err
    assert "per_device_train_batch_size: 2 with gradient_accumulation_steps: 4 fit" in ended.err
    assert customspec("run", spec, "--device", "cpu").code == 4
    assert customspec("validate", spec).code == 0  # a spec is right or wrong on every machine


def test_a_model_that_is_too_large_by_itself_is_told_so(
    workspace: Workspace, customspec: Command, shrink: Callable[[int], None]
) -> None:
    shrink(2**16)
    ended = customspec("plan", workspace.spec("techniques: [zero_shot]"), "--device", "cpu")
    assert ended.code == 4
    assert "the model's weights alone take 156 KiB: take a smaller base_model" in ended.err


def test_the_largest_technique_that_fits_is_named(
    workspace: Workspace, customspec: Command, shrink: Callable[[int], None]
) -> None:
    spec = workspace.spec("techniques: [lora, {p_tuning: {encoder_hidden_size: 4096}}]")
    shrink(peaks(customspec, spec)[1] // 2)
    ended = customspec("plan", spec, "--device", "cpu")
    assert ended.code == 4
    assert "`lora` fits: " in ended.err


def test_an_accelerator_keeps_some_memory_to_itself() -> None:
    assert usable(UNKNOWN) is None
    assert usable(replace(UNKNOWN, memory_bytes=2**34)) == 2**34
    assert usable(replace(UNKNOWN, device="cuda", memory_bytes=2**34)) == int(0.93 * 2**34) - 2**30
