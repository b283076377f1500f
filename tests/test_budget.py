"""The budget: what breaks it by the estimate is skipped, what breaks it while it runs is stopped, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from customspec.cli.planning import make_plan
from customspec.compiler.budget import over_budget
from customspec.errors import Code, SpecError
from customspec.estimate import Estimate
from customspec.machine import detect
from customspec.plan import Plan
from customspec.registry import discover
from customspec.runners.limits import Limits, OverBudgetError
from customspec.runners.local import run_plan
from customspec.runners.outcome import Outcome
from customspec.runners.work import Host
from customspec.spec import Budget
from customspec.store import Store
from support import Ended, Workspace, colours, run

Command = Callable[..., Ended]

ALL = "techniques: [zero_shot, {few_shot: {shots: 4}}, {lora: {r: 2, max_steps: 4}}, {full: {max_steps: 2}}]"


class Silent:
    """Follows a run without a word."""

    def started(self, *_: Any) -> None: ...

    def progress(self, *_: Any) -> None: ...

    def finished(self, *_: Any) -> None: ...


def statuses(document: Any) -> dict[str, str]:
    return {candidate["id"]: candidate["status"] for candidate in document["candidates"]}


def planned(workspace: Workspace, *lines: str) -> Plan:
    return make_plan(workspace.spec(*lines), workspace.root / ".customspec", detect("cpu")).plan


# ------------------------------------------------------------------------------------------------------ by the estimate


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ("8GiB", 8 * 2**30),
        ("8 GB", 8 * 10**9),
        ("1.5 MiB", 3 * 2**19),
        ("20kB", 20_000),
        ("7 B", 7),
        ("10KiB", 10240),
        (4096, 4096),
    ],
)
def test_a_size_is_a_number_of_bytes_or_text(size: object, found: int) -> None:
    assert Budget.model_validate({"memory": size}).memory == found


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        ("trainable_parameters: 0", ["zero_shot", "few_shot"]),
        ("trainable_parameters: 2176", ["zero_shot", "few_shot", "lora"]),
        ("artifact: 10KiB", ["zero_shot", "few_shot", "lora"]),
        ("prompt_tokens: 100", ["zero_shot", "lora", "full"]),
        ("prompt_tokens: 100, trainable_parameters: 0", ["zero_shot"]),
    ],
)
def test_what_would_break_the_budget_has_no_steps_and_a_reason(
    workspace: Workspace, budget: str, left: list[str]
) -> None:
    plan = planned(workspace, ALL, f"budget: {{{budget}}}")
    assert [candidate.id for candidate in plan.candidates if candidate.skipped is None] == left
    assert list(dict.fromkeys(step.candidate for step in plan.steps if step.candidate)) == [f"{id}@0" for id in left]


def test_the_reason_is_in_plan_and_results_and_the_rest_is_compared(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec(ALL, "budget: {trainable_parameters: 0}", "goal: {metric: accuracy, at_least: 0.1}")
    reason = "over the budget: needs 2,176 trained parameters by the estimate; `trainable_parameters` allows 0"
    assert f"skipped: lora@0: {reason}" in customspec("plan", spec).out
    document = run(customspec, spec)
    assert statuses(document) == {"zero_shot": "done", "few_shot": "done", "lora": "skipped", "full": "skipped"}
    lora = document["candidates"][2]
    assert (lora["reason"], lora["artifact"]) == (reason, None)
    assert document["decision"]["chosen"] == "zero_shot"


def test_a_ladder_goes_on_with_what_fits(workspace: Workspace) -> None:
    plan = planned(
        workspace,
        ALL,
        "strategy: ladder",
        "goal: {metric: accuracy, at_least: 0.5}",
        "budget: {prompt_tokens: 100}",
    )
    gate = plan.step("train:lora@0").gate
    assert gate is not None
    assert gate.after == ("evaluate:zero_shot@0:validation",)


def test_the_budget_changes_no_step(workspace: Workspace) -> None:
    free = planned(workspace, ALL)
    bounded = planned(workspace, ALL, "budget: {minutes: 60, memory: 100GiB, trainable_parameters: 1000000}")
    assert free.digest == bounded.digest


def test_a_budget_that_no_candidate_fits_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as none:
        planned(workspace, "techniques: [{lora: {r: 2}}, full]", "budget: {trainable_parameters: 10}")
    (problem,) = none.value.problems
    assert problem.code == Code.BUDGET
    assert problem.message == (
        "no candidate fits the budget: the least that one needs by the estimate is 2,176 trained parameters, of `lora`"
    )
    with pytest.raises(SpecError, match=r"few_shot is over the budget: needs .* prompt tokens per request"):
        planned(
            workspace,
            "techniques: [{few_shot: {shots: 8}}, {lora: {r: 2}}]",
            "budget: {trainable_parameters: 10, prompt_tokens: 100}",
        )


# ---------------------------------------------------------------------------------------------------- while it is spent


class Hurrying(Silent):
    """A clock, and a follower that moves it far ahead once a training has done two steps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0

    def progress(self, step: str, done: int, *_: Any) -> None:
        if step.startswith("train:"):
            self.steps = max(self.steps, done)
            self.now = 1e6 if done >= 2 else self.now


def spent(workspace: Workspace, limits: Limits, store: str, follower: Silent | None = None) -> Outcome:
    """A run under these limits."""
    plan = planned(workspace, "techniques: [zero_shot, {lora: {r: 2, max_steps: 6}}]")
    watcher = follower or Silent()
    host = Host(Store(workspace.root / store), discover(), detect("cpu"))
    return run_plan(plan, host, watcher, limits=limits)


def test_a_run_whose_time_is_up_stops_within_a_step_and_keeps_what_it_has(workspace: Workspace) -> None:
    hurrying = Hurrying()
    outcome = spent(workspace, Limits(minutes=1.0, clock=lambda: hurrying.now, began=0.0), "store", hurrying)
    assert hurrying.steps == 2  # of six
    assert not outcome.failed
    assert {id: step.reason for id, step in outcome.steps.items() if step.status == "skipped"} == {
        "train:lora@0": "the budget of 60.0 s is used up",
        "evaluate:lora@0:validation": "train:lora@0 skipped",
        "evaluate:lora@0:test": "train:lora@0 skipped",
    }
    assert outcome.steps["decide"].values["chosen"] == "zero_shot"


def test_what_was_stopped_is_made_in_the_next_run_and_what_is_there_takes_no_time(workspace: Workspace) -> None:
    over = Limits(minutes=1.0, clock=lambda: 61.0, began=0.0)
    stopped = spent(workspace, over, "store")
    assert {id: step.status for id, step in stopped.steps.items() if step.status != "skipped"} == {"decide": "done"}
    assert stopped.steps["model"].reason == "the budget of 60.0 s is used up"
    assert stopped.steps["train:lora@0"].reason == "model skipped"
    assert stopped.exit == 0
    made = spent(workspace, Limits(), "store")
    assert {step.status for step in made.steps.values()} == {"done"}
    again = spent(workspace, over, "store")
    assert {step.status for step in again.steps.values()} == {"cached"}


def test_a_time_counts_once_the_machine_is_measured_and_the_gauge_keeps_to_it() -> None:
    budget = Budget(minutes=1.0, prompt_tokens=10.0)
    measured: Any = SimpleNamespace(estimate=Estimate(seconds=120.0, prompt_tokens=50.0, calibrated=True))
    assert set(over_budget(measured, budget, gauge=False)) == {"minutes", "prompt_tokens"}
    assert over_budget(measured, budget, gauge=True) == {
        "minutes": "over the budget: needs 2 min by the estimate; `minutes` allows 60.0 s"
    }
    assumed: Any = SimpleNamespace(estimate=Estimate(seconds=120.0, prompt_tokens=5.0))
    assert over_budget(assumed, budget, gauge=False) == {}


def test_a_step_that_takes_too_much_memory_is_stopped_and_the_others_go_on(workspace: Workspace) -> None:
    plan = planned(workspace, "techniques: [zero_shot]")
    machine = detect("cpu")
    check = Limits(memory_bytes=1).watch(plan.step("evaluate:zero_shot@0:test"), machine)
    with pytest.raises(OverBudgetError, match=r"evaluate:zero_shot@0:test took .* of memory; the budget allows 1 B"):
        check()
    Limits(memory_bytes=1).watch(plan.step("data"), machine)()  # no candidate's
    Limits(memory_bytes=2**50).watch(plan.step("evaluate:zero_shot@0:test"), machine)()
    outcome = spent(workspace, Limits(memory_bytes=1), "store")
    assert {id: step.status for id, step in outcome.steps.items()} == {
        "model": "done",
        "data": "done",
        "evaluate:zero_shot@0:validation": "skipped",
        "evaluate:zero_shot@0:test": "skipped",
        "train:lora@0": "skipped",
        "evaluate:lora@0:validation": "skipped",
        "evaluate:lora@0:test": "skipped",
        "decide": "done",
    }


def test_what_is_cached_keeps_to_the_memory_too(workspace: Workspace) -> None:
    """The answer of a run does not depend on whether its results were there."""
    assert {taken.status for taken in spent(workspace, Limits(), "store").steps.values()} == {"done"}
    again = spent(workspace, Limits(memory_bytes=1), "store")
    reasons = {id: taken.reason or "" for id, taken in again.steps.items() if id.startswith("evaluate:")}
    assert {again.steps[id].status for id in reasons} == {"skipped"}
    assert all("took" in reason and "the budget allows 1 B" in reason for reason in reasons.values())


def test_a_training_that_measures_more_than_the_budget_is_not_chosen(workspace: Workspace, customspec: Command) -> None:
    # the estimate is of the weights alone, and their file has a header and its settings beside it
    lines = ("techniques: [zero_shot, {lora: {r: 2, max_steps: 1}}]", "goal: {metric: accuracy, at_least: 0.01}")
    spec = workspace.spec(*lines, "budget: {artifact: 8800}")
    document = run(customspec, spec, "--set", "techniques=[{lora: {r: 2, max_steps: 1}}]")
    (lora,) = document["candidates"]
    assert (lora["status"], lora["artifact"]) == ("skipped", None)
    assert lora["reason"].startswith("over the budget: measured an artifact of ")
    assert lora["reason"].endswith("; `artifact` allows 8.59 KiB")
    assert {step["reason"] for id, step in document["steps"].items() if "lora" in id} == {lora["reason"]}
    assert document["decision"]["chosen"] is None
    assert document["decision"]["reasons"] == [f"lora@0 was stopped by the budget: {lora['reason']}"]
    again = run(customspec, spec)  # what the store holds is held to the budget, too
    assert statuses(again) == {"zero_shot": "done", "lora": "skipped"}
    assert again["decision"]["chosen"] == "zero_shot"
    assert statuses(run(customspec, spec, "--set", "budget.artifact=1MB"))["lora"] == "done"


def test_a_rung_that_measures_more_than_the_budget_does_not_end_the_climb(
    workspace: Workspace, customspec: Command
) -> None:
    workspace.rows("test.jsonl", [{**row, "text": f"{row['text']} {'and so on ' * 20}"} for row in colours(12, 200)])
    document = run(
        customspec,
        workspace.spec(
            'techniques: [zero_shot, {id: terse, lora: {r: 2, max_steps: 1}, prompt: {user: "{{ text[:20] }}"}}]',
            "strategy: ladder",
            "goal: {metric: accuracy, at_least: 0.01}",
            "budget: {prompt_tokens: 150}",
        ),
    )
    assert statuses(document) == {"zero_shot": "skipped", "terse": "done"}
    reason = document["candidates"][0]["reason"]
    assert reason.startswith("over the budget: measured ")
    assert reason.endswith(" prompt tokens per request; `prompt_tokens` allows 150")
    assert document["steps"]["evaluate:zero_shot@0:validation"]["status"] == "done"
    assert document["decision"]["chosen"] == "terse"
    assert "zero_shot" not in str(document["decision"])


def test_what_the_budget_stopped_is_named_with_what_it_had_reached(workspace: Workspace, customspec: Command) -> None:
    """Its longer test rows break the limit after its validation rows have reached the goal."""
    workspace.rows("test.jsonl", [{**row, "text": f"{row['text']} {'and so on ' * 20}"} for row in colours(12, 200)])
    lines = ("goal: {metric: accuracy, at_least: 0.01}", "strategy: ladder", "budget: {prompt_tokens: 150}")
    document = run(customspec, workspace.spec("techniques: [zero_shot]", *lines))
    (zero,), (reason,) = document["candidates"], document["decision"]["reasons"]
    assert reason.startswith(
        f"zero_shot@0 was stopped by the budget: {zero['reason']}; its accuracy on the validation "
    )
    assert reason.endswith(", reaches at least 0.01")


def test_the_minutes_hold_for_the_curve_as_well(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = workspace.spec("techniques: [{few_shot: {shots: 2}}]", "budget: {minutes: 1}")
    run(customspec, spec)
    assert "nothing was executed: every result was in the store" in customspec("run", spec).out
    monkeypatch.setattr(Limits, "seconds_left", property(lambda limits: -1.0))
    ended = customspec("run", spec, "--curve", "50,100")
    assert ended.code == 0, ended.err
    assert "data:50 skipped: the budget of 60.0 s is used up" in ended.out
    over = customspec("run", spec, "--set", "techniques=[zero_shot]")
    assert "nothing was executed" not in over.out
