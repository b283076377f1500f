"""`run --curve`: the chosen candidate on growing shares of its rows, cached like any step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from customspec.runners import local
from customspec.store import Checkpoints
from customspec.store.upkeep import remove, unreferred
from support import Ended, Workspace

Command = Callable[..., Ended]


def run(customspec: Command, *arguments: Any) -> Any:
    ended = customspec("run", *arguments, "--json")
    assert ended.code == 0, ended.err
    return ended.json


def test_the_chosen_candidate_is_trained_on_nested_shares(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [{lora: {r: 2, num_train_epochs: 1}}]")
    plain = run(customspec, spec)
    document = run(customspec, spec, "--curve", "25,50,100")
    curve = document["curve"]
    assert "curve" not in plain
    assert document["decision"] == plain["decision"]
    assert document["steps"]["train:lora@0"]["status"] == "cached"
    assert (curve["candidate"], curve["metric"], curve["split"]) == ("lora@0", "accuracy", "validation")
    assert [(point["share"], point["rows"], point["n"]) for point in curve["points"]] == [
        (0.25, 6, 12),
        (0.5, 12, 12),
        (1.0, 24, 12),
    ]
    whole = document["candidates"][0]["metrics"]["validation"]["accuracy"]["value"]
    assert curve["points"][-1]["value"] == whole
    assert curve["at_twice"]["rows"] == 48
    assert curve["answer"].startswith("it cannot be told whether more data would help"), "of twelve rows"
    assert {step["status"] for step in curve["steps"].values()} == {"done"}

    again = run(customspec, spec, "--curve", "50,100,25")["curve"]
    assert {step["status"] for step in again["steps"].values()} == {"cached"}
    assert again["points"] == curve["points"]
    ended = customspec("run", spec, "--curve", "50").out
    assert "learning curve: it cannot be told whether more data would help: that takes 3 sizes" in ended
    assert "  - 12 training rows: accuracy" in ended


def test_demonstrations_have_a_curve_and_a_bare_prompt_has_none(workspace: Workspace, customspec: Command) -> None:
    shots = workspace.spec("techniques: [{few_shot: {shots: 8}}]")
    curve = run(customspec, shots, "--curve", "25,50,100")["curve"]
    assert [point["rows"] for point in curve["points"]] == [12, 24], "six rows are fewer than eight demonstrations"
    bare = run(customspec, workspace.spec("techniques: [zero_shot]"), "--curve", "25,50,100")["curve"]
    assert bare["answer"] == "zero_shot takes nothing from training rows, so more of them change nothing"
    assert (bare["points"], bare["more_helps"]) == ([], None)


@pytest.mark.faults
def test_what_a_search_found_is_what_the_shares_use(workspace: Workspace, customspec: Command) -> None:
    searched = "{few_shot: {select: random}, search: {shots: [1, 3]}}"
    tuned = "{lora: {r: 2, max_steps: 3}, search: {learning_rate: [1e-3, 1e-2]}}"
    for entry, option in ((searched, "shots"), (tuned, "learning_rate")):
        document = run(customspec, workspace.spec(f"techniques: [{entry}]"), "--curve", "50,100")
        (found,) = document["candidates"]
        value = found["search"]["chosen"][option]
        fixed = entry.split(", search")[0].replace("}", f", {option}: {value}}}") + "}"
        by_hand = run(customspec, workspace.spec(f"techniques: [{fixed}]"), "--curve", "50,100")
        assert [point["value"] for point in document["curve"]["points"]] == [
            point["value"] for point in by_hand["curve"]["points"]
        ]
        mine, theirs = (
            {id: step["fingerprint"] for id, step in one["curve"]["steps"].items()} for one in (document, by_hand)
        )
        assert mine == theirs


def test_a_cleaning_beside_a_run_or_after_it_spares_the_curves_results(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, cleaned, take = workspace.spec("techniques: [{few_shot: {shots: 4}}]"), set[str](), local._Run.take

    def take_in_a_cleaned_store(run: Any, step: Any, taken: Any) -> Any:
        store = run.host.store
        with store.cleaning():
            removals = list(unreferred(store, 0, time.time()))
            for removal in removals:
                remove(removal, store)
        cleaned.update(removal.step for removal in removals)
        return take(run, step, taken)

    with monkeypatch.context() as beside:
        beside.setattr(local._Run, "take", take_in_a_cleaned_store)
        document = run(customspec, spec, "--curve", "50,100")
    assert [point["rows"] for point in document["curve"]["points"]] == [12, 24]
    assert cleaned == {"texts of a spec"}
    for part in (workspace.root / ".customspec" / "objects").rglob("*"):
        os.utime(part, (0, 0))
    assert customspec("gc", "--store", workspace.root / ".customspec").out == "removed 0 results, 0.0 MiB\n"
    again = run(customspec, spec, "--curve", "50,100")["curve"]
    assert {step["status"] for step in again["steps"].values()} == {"cached"}


def test_a_curve_is_checkpointed_as_often_as_the_run(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, steps = Checkpoints.write, set[str]()

    def noted(checkpoints: Checkpoints, number: int, fill: Any) -> None:
        steps.add(checkpoints.step)
        write(checkpoints, number, fill)

    monkeypatch.setattr(Checkpoints, "write", noted)
    spec = workspace.spec("techniques: [{lora: {r: 2, max_steps: 2}}]")
    run(customspec, spec, "--curve", "50,100", "--checkpoint-minutes", "0")
    assert steps == {"train:lora@0", "train:lora@0:50"}


@pytest.mark.parametrize("shares", ["", "a", "0,50", "50,101", "100", "12.5"])
def test_shares_that_are_none_are_refused(workspace: Workspace, customspec: Command, shares: str) -> None:
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--curve", shares)
    assert ended.code == 2
    assert "--curve takes percentages of the training rows" in ended.err


def test_a_saved_plan_has_no_curve(workspace: Workspace, customspec: Command) -> None:
    plan = workspace.root / "plan.json"
    assert customspec("plan", workspace.spec("techniques: [zero_shot]"), "--out", plan).code == 0
    ended = customspec("run", plan, "--curve", "50,100")
    assert ended.code == 2
    assert "a saved plan runs as it is" in ended.err
