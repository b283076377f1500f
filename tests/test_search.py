"""Searching options: what is planned, which trials run, what they leave, and how an interrupted search goes on."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from typing import Any

import pytest

from customspec.errors import StepError
from customspec.runners.kinds import train
from customspec.runners.searching import Combination, Search, StoppedError, Trial, best_of, search
from support import Ended, Workspace, run

Command = Callable[..., Ended]

RATES = "{lora: {r: 2, max_steps: 10}, search: {learning_rate: [1e-4, 1e-2, 0.1]}}"


# ----------------------------------------------------------------------------------------------------------- the search


def curve(chosen: Combination) -> list[float]:
    """Ten measurements that rise towards a height of the trial's own."""
    return [chosen["height"] * step / 10 for step in range(1, 11)]


def searched(
    heights: list[float], memory: dict[str, Trial], trials: int | None = None
) -> tuple[list[Trial], list[str]]:
    """The trials, and which of them were made rather than remembered."""
    made: list[str] = []

    def attempt(chosen: Combination, measured: Callable[[float], None]) -> Trial:
        made.append(json.dumps(chosen))
        values: list[float] = []
        for value in curve(chosen):
            values.append(value)
            try:
                measured(value)
            except StoppedError:
                return Trial(chosen, tuple(values), "stopped", 1.0)
        return Trial(chosen, tuple(values), "done", 1.0)

    def keep(trial: Trial) -> None:
        memory[json.dumps(trial.chosen)] = trial

    what = Search(
        {"height": {"values": heights}},
        trials or len(heights),
        seed=0,
        higher_is_better=True,
        attempt=attempt,
        recall=lambda chosen: memory.get(json.dumps(chosen)),
        keep=keep,
    )
    return search(what, lambda done, note: None), made


def ranked(*, higher: bool = True, growing: bool = False) -> Search:
    """A search that only ranks."""

    def never(*_: Any) -> Trial:
        raise AssertionError

    return Search({}, 1, 0, higher, never, lambda chosen: None, lambda trial: None, growing)


def test_measurements_on_ever_more_rows_are_ranked_by_the_last() -> None:
    lucky = Trial({"shots": 2}, (1.0, 0.9, 0.4), "done", 1.0)
    sound = Trial({"shots": 4}, (0.5, 0.6, 0.7), "done", 1.0)
    assert best_of([lucky, sound], ranked(growing=True)) == (sound, 0.7)
    assert best_of([lucky, sound], ranked(higher=False, growing=True)) == (lucky, 0.4)
    assert best_of([lucky, sound], ranked()) == (lucky, 1.0)


def test_the_best_of_a_grid_is_found_and_worse_ones_are_stopped_early() -> None:
    heights = [0.1, 0.9, 0.3, 0.5, 0.7, 0.2, 0.4, 0.6, 0.8]
    trials, made = searched(heights, {})
    assert sorted(trial.chosen["height"] for trial in trials) == sorted(heights)
    assert len(made) == 9
    best, value = best_of(trials, ranked())
    assert (best.chosen["height"], value) == (0.9, 0.9)
    measured = sum(len(trial.values) for trial in trials)
    assert measured < 0.7 * 90
    assert {trial.ended for trial in trials} == {"done", "stopped"}
    assert {len(trial.values) for trial in trials} <= {1, 3, 9, 10}


def test_a_search_that_was_cut_off_makes_only_what_is_left_and_ends_alike() -> None:
    heights = [0.1, 0.9, 0.3, 0.5, 0.7]
    whole, _ = searched(heights, {})
    memory: dict[str, Trial] = {}
    first, _ = searched(heights, memory, trials=2)
    again, made = searched(heights, memory)
    assert again == whole
    assert first == whole[:2]
    assert len(made) == 3


def test_a_trial_that_another_search_stopped_is_made_anew_where_it_should_go_on() -> None:
    memory: dict[str, Trial] = {}
    searched([0.9, 0.8, 0.1], memory)
    stopped = [trial for trial in memory.values() if trial.ended == "stopped"]
    assert stopped
    lowest = min(stopped, key=lambda trial: trial.chosen["height"])
    trials, made = searched([lowest.chosen["height"]], memory)  # alone it is the best
    assert [trial.ended for trial in trials] == ["done"]
    assert len(made) == 1


def test_trials_that_failed_are_told_and_not_chosen() -> None:
    failed = Trial({}, (), "failed", 1.0, "the loss is not finite")
    with pytest.raises(StepError, match="no trial of the search succeeded: the loss is not finite"):
        best_of([failed], ranked())
    one, two = (Trial({"r": r}, (0.5, 0.4), "done", 1.0) for r in (1, 2))
    assert best_of([failed, one, two], ranked()) == (one, 0.5)
    assert best_of([one], ranked(higher=False)) == (one, 0.4)


@pytest.mark.parametrize("log", [False, True])
def test_a_range_is_drawn_from_by_the_seed(log: bool) -> None:
    drawn: list[list[float]] = []
    for _ in range(2):
        seen: list[float] = []

        def attempt(chosen: Combination, measured: Callable[[float], None], seen: list[float] = seen) -> Trial:
            seen.append(chosen["rate"])
            measured(0.5)
            return Trial(chosen, (0.5,), "done", 1.0)

        space = {"rate": {"low": 1e-4, "high": 1.0, "log": log, "integer": False}}
        search(Search(space, 4, 7, True, attempt, lambda chosen: None, lambda trial: None), lambda done, note: None)
        drawn.append(seen)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4
    assert all(1e-4 <= rate <= 1.0 for rate in drawn[0])


# ------------------------------------------------------------------------------------------------------------- in a run


def test_the_plan_counts_the_time_of_a_search(workspace: Workspace, customspec: Command) -> None:
    one, *_ = customspec("plan", workspace.spec(f"techniques: [{RATES}]"), "--json").json["candidates"]
    plain = RATES.replace(", search: {learning_rate: [1e-4, 1e-2, 0.1]}", "")
    without, *_ = customspec("plan", workspace.spec(f"techniques: [{plain}]"), "--json").json["candidates"]
    told, alone = one["estimate"], without["estimate"]
    assert alone["search_seconds"] == 0
    assert alone["train_seconds"] < told["search_seconds"] < 3 * alone["train_seconds"]
    assert told["seconds"] == pytest.approx(alone["seconds"] + told["search_seconds"])


def test_the_plan_has_one_search_that_the_training_needs(workspace: Workspace, customspec: Command) -> None:
    plan = customspec("plan", workspace.spec(f"techniques: [{RATES}]", "seeds: [0, 1]"), "--json").json
    steps = {step["id"]: step for step in plan["steps"]}
    assert steps["search:lora"]["needs"] == ["model", "data"]
    assert steps["search:lora"]["params"]["space"] == {"learning_rate": {"values": [1e-4, 1e-2, 0.1]}}
    assert steps["train:lora@0"]["needs"] == steps["train:lora@1"]["needs"] == ["model", "data", "search:lora"]
    assert "learning_rate" not in steps["train:lora@0"]["params"]["technique"]["options"]
    assert "search:lora" not in steps["evaluate:lora@0:test"]["needs"]


def test_the_estimate_is_that_of_the_dearest_options(workspace: Workspace, customspec: Command) -> None:
    entry = "{id: ID, lora: {max_steps: 1}, search: {r: [1, 4, 2]}}"
    alone = "{id: four, lora: {max_steps: 1, r: 4}}"
    plan = customspec("plan", workspace.spec(f"techniques: [{entry.replace('ID', 'any')}, {alone}]"), "--json").json
    found, fixed = plan["candidates"]
    assert found["trainable_parameters"] == fixed["trainable_parameters"]
    few = "techniques: [{few_shot: {}, search: {shots: [1, 6]}}, {id: six, few_shot: {shots: 6}}]"
    found, fixed = customspec("plan", workspace.spec(few), "--json").json["candidates"]
    assert found["estimate"]["prompt_tokens"] == fixed["estimate"]["prompt_tokens"]


def test_a_training_uses_the_options_that_were_found(workspace: Workspace, customspec: Command) -> None:
    document = run(customspec, workspace.spec(f"techniques: [{RATES}]"))
    (lora,) = document["candidates"]
    folder = workspace.candidate_folder(document, "lora@0")
    found = json.loads((folder / "search.json").read_text())
    rate = found["chosen"]["learning_rate"]
    assert found["options"]["learning_rate"] == rate
    assert lora["search"]["chosen"] == {"learning_rate": rate}
    assert lora["search"]["trials"] == len(found["trials"]) == 3
    assert lora["cost"]["search_seconds"] > 0
    best = max(max(trial["values"]) for trial in found["trials"] if trial["ended"] == "done")
    assert lora["search"]["value"] == best == lora["metrics"]["validation"]["accuracy"]["value"]
    prompt = json.loads((folder / "prompt.json").read_text())
    assert prompt["technique"]["options"]["learning_rate"] == rate
    fixed = f"techniques: [{{lora: {{r: 2, max_steps: 10, learning_rate: {rate}}}}}]"
    alone = run(customspec, workspace.spec(fixed))
    weights = [workspace.candidate_folder(one, "lora@0") / "adapter_model.safetensors" for one in (document, alone)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_prompting_technique_is_searched_evaluated_and_predicts_with_what_was_found(
    workspace: Workspace, customspec: Command
) -> None:
    document = run(customspec, workspace.spec("techniques: [{few_shot: {}, search: {shots: [1, 3]}}]"))
    (few,) = document["candidates"]
    shots = few["search"]["chosen"]["shots"]
    prompt = json.loads((workspace.candidate_folder(document, "few_shot@0") / "prompt.json").read_text())
    assert len(prompt["shots"]) == prompt["prompting"]["options"]["shots"] == shots
    fixed = run(customspec, workspace.spec(f"techniques: [{{few_shot: {{shots: {shots}}}}}]"))
    assert fixed["candidates"][0]["metrics"] == few["metrics"]
    ended = customspec("predict", workspace.run_folder(document), workspace.root / "test.jsonl")
    assert ended.code == 0, ended.err
    records = [json.loads(line) for line in ended.out.splitlines()]
    lines = (
        workspace.candidate_folder(document, "few_shot@0") / "predictions" / "test" / "predictions.jsonl"
    ).read_text()
    assert [one["prediction"] for one in records] == [json.loads(line)["prediction"] for line in lines.splitlines()]
    out = workspace.root / "handed"
    assert customspec("export", workspace.run_folder(document), "--out", out).code == 0
    assert json.loads((out / "prompt.json").read_text())["prompting"]["options"]["shots"] == shots


def test_each_seed_is_used_without_the_first_whose_search_it_is(workspace: Workspace, customspec: Command) -> None:
    entry = "{few_shot: {}, search: {shots: [1, 3]}}"
    document = run(customspec, workspace.spec(f"techniques: [{entry}]", "seeds: [0, 1]"))
    first, second = (workspace.candidate_folder(document, f"few_shot@{seed}") for seed in (0, 1))
    assert (first / "search.json").read_bytes() == (second / "search.json").read_bytes()
    shutil.rmtree(first)
    asked = (first.parent.parent, workspace.root / "test.jsonl", "--candidate", "few_shot@1")
    told = customspec("predict", *asked)
    assert told.code == 0, told.err
    lines = (second / "predictions" / "test" / "predictions.jsonl").read_text().splitlines()
    answers = [json.loads(line)["prediction"] for line in lines]
    assert [json.loads(line)["prediction"] for line in told.out.splitlines()] == answers
    (second / "search.json").unlink()
    told = customspec("predict", *asked)
    assert told.code == 5
    assert "search.json has changed since the run" in told.err


def test_an_interrupted_search_goes_on_with_the_trials_that_are_left(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, whole = [], train.run

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        if len(made) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(train, "run", counted)
    spec = workspace.spec(f"techniques: [{RATES}]")
    assert customspec("run", spec).code == 130
    document = run(customspec, spec)
    assert len(made) == 3 + 1 + 1  # two trials and the one cut off, the last trial, the training
    assert document["candidates"][0]["search"]["trials"] == 3


def test_a_wider_search_makes_only_what_is_new(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "{few_shot: {}, search: {shots: [1, 2]}}"
    run(customspec, workspace.spec(f"techniques: [{entry}]"))
    memos = workspace.root / ".customspec" / "memo" / "trials"
    before = set(memos.iterdir())
    assert len(before) == 2
    run(customspec, workspace.spec(f"techniques: [{entry.replace('[1, 2]', '[1, 2, 3]')}]"))
    assert len(set(memos.iterdir()) - before) == 1


def test_options_under_which_a_training_fails_are_a_trial_that_failed(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train.run

    def fragile(step: Any, *arguments: Any) -> Any:
        if step.params["technique"]["options"].get("learning_rate") == 0.1:
            raise StepError("the loss is not finite at step 3")
        return whole(step, *arguments)

    monkeypatch.setattr(train, "run", fragile)
    document = run(customspec, workspace.spec(f"techniques: [{RATES}]"))
    assert document["candidates"][0]["search"]["failed"] == 1
    assert document["candidates"][0]["search"]["chosen"] != {"learning_rate": 0.1}


def test_a_ladder_that_has_its_goal_searches_nothing(workspace: Workspace, customspec: Command) -> None:
    goal = "goal: {metric: accuracy, at_least: 0.1}"
    document = run(customspec, workspace.spec(f"techniques: [zero_shot, {RATES}]", goal, "strategy: ladder"))
    assert document["steps"]["search:lora"]["status"] == "skipped"
    assert document["candidates"][1]["search"] is None


def test_without_optuna_the_plan_says_what_to_install(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    ended = customspec("plan", workspace.spec(f"techniques: [{RATES}]"))
    assert ended.code == 4
    assert "`search` needs optuna" in ended.err
    assert "pip install 'customspec[search]'" in ended.err
