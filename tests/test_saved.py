"""Saved plans may come from a stranger: sealed, read strictly, and refused with a sentence."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished import write_sealed
from mutations import mutations

from customspec.plan import Plan, Step, fingerprint
from support import Ended, Workspace, run

Run = Callable[..., Ended]


@pytest.fixture
def plan(workspace: Workspace, customspec: Run) -> Path:
    out = workspace.root / "plan.json"
    spec = workspace.spec(
        "techniques: [zero_shot, {few_shot: {shots: 1}}]",
        "goal: {metric: accuracy, at_least: 0.01}",
        "strategy: ladder",
        "budget: {minutes: 30}",
        "cost: {requests_per_month: 10, price_per_device_hour: 1.0}",
    )
    ended = customspec("plan", spec, "--out", out)
    assert ended.code == 0, ended.err
    return out


def kept(root: Path) -> set[str]:
    """All that lies in the folder and beside it, outside the store."""
    found = (path.relative_to(root.parent) for path in root.parent.rglob("*"))
    return {str(path) for path in found if ".customspec" not in path.parts}


@pytest.mark.parametrize(
    "edit",
    [
        {"name": "another"},
        {"metrics": ["macro_f1"]},
        {"cost": None},
        {"candidates": []},
        {"budget": {"minutes": 1e6}},
        {"seal": None},
        {"seal": "sha256:0"},
        {"seal": [1]},
    ],
    ids=str,
)
def test_what_no_fingerprint_covers_is_under_the_seal(plan: Path, customspec: Run, edit: dict[str, Any]) -> None:
    plan.write_text(json.dumps({**json.loads(plan.read_text()), **edit}))
    ended = customspec("run", plan)
    assert ended.code == 5
    assert f"{plan}: it was edited by hand" in ended.err


def test_spelling_is_not_under_the_seal(plan: Path, customspec: Run) -> None:
    document = json.loads(plan.read_text())
    plan.write_text(json.dumps(dict(reversed(document.items())), indent=7))
    assert customspec("run", plan).code == 0


def test_a_printed_plan_and_that_of_a_run_are_sealed_too(workspace: Workspace, plan: Path, customspec: Run) -> None:
    plan.write_text(customspec("plan", workspace.root / "spec.yaml", "--json").out)
    assert customspec("run", plan).code == 0
    (run,) = (workspace.root / ".customspec" / "runs").iterdir()
    assert customspec("run", run / "plan.json").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested too deep"),
        ("[]", "not a JSON object"),
        ("{}", "no steps"),
        ("{", "not JSON"),
        ("\0", "not JSON"),
        ('{"plan": 1}', "no steps"),
    ],
    ids=["deep", "list", "empty", "cut", "nul", "keys"],
)
def test_what_is_no_plan_is_told(workspace: Workspace, customspec: Run, text: str, said: str) -> None:
    ended = customspec("run", workspace.write("plan.json", text))
    assert ended.code == 2
    assert "plan.json is no plan of `customspec plan --out`: it is" in ended.err.replace("it has", "it is")
    assert said in ended.err


def test_a_pipe_is_no_plan(workspace: Workspace, customspec: Run) -> None:
    os.mkfifo(workspace.root / "plan.json")
    ended = customspec("run", workspace.root / "plan.json")
    assert ended.code == 2
    assert "is not a regular file" in ended.err


def test_a_number_that_json_has_not_is_refused(plan: Path, customspec: Run) -> None:
    document = json.loads(plan.read_text())
    plan.write_text(json.dumps({**document, "budget": {"minutes": float("nan")}}))
    assert customspec("run", plan).code == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.update(name="../../x"), "name: "),
        (lambda document: document["candidates"][0].update(key="../../x@0"), "candidates.0.key: "),
        (lambda document: document["candidates"][0].update(key="other@0"), "its key is not its own"),
        (lambda document: document["steps"].reverse(), "does not come before it"),
        (lambda document: document["steps"][2].update(kind="shell"), "steps.2"),
        (lambda document: document["steps"][2]["params"].update(split="../.."), "split: "),
        (lambda document: document.update(metrics=["nothing"]), "does not measure what the plan asks for"),
        (lambda document: document.update(goal={"metric": "accuracy", "at_least": 0.9}), "is not the plan's goal"),
        (lambda document: document.update(cost=None), "its cost is not the plan's"),
        (lambda document: document["sources"].update(spec="spec.yaml"), "sources.spec: "),
        (lambda document: document["sources"].update(spec="/a\0b"), "sources.spec: "),
    ],
)
def test_a_sealed_plan_that_makes_no_sense_is_none(
    plan: Path, customspec: Run, change: Callable[[Any], None], said: str
) -> None:
    document = json.loads(plan.read_text())
    change(document)
    write_sealed(plan, document)
    ended = customspec("run", plan)
    assert ended.code == 2, ended.err
    assert said in ended.err


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"metric": "macro_f1"}, "its gate is not the plan's goal"),
        ({"at_least": None}, "its gate is not the plan's goal"),
        ({"after": ["model"]}, "which model does not measure"),
    ],
)
def test_a_gate_asks_for_the_goal_where_it_is_measured(
    plan: Path, customspec: Run, edit: dict[str, Any], said: str
) -> None:
    document = json.loads(plan.read_text())
    next(step for step in document["steps"] if step["gate"])["gate"].update(edit)
    write_sealed(plan, document)
    assert said in customspec("run", plan).err


def test_a_model_is_read_where_its_reference_leads(workspace: Workspace, plan: Path, customspec: Run) -> None:
    document = json.loads(plan.read_text())
    document["steps"][0]["sources"]["path"] = str(workspace.root / "elsewhere")
    write_sealed(plan, document)
    ended = customspec("run", plan)
    assert ended.code == 5
    assert "the model model changed" in ended.err


def test_no_single_value_that_is_changed_and_sealed_again_ends_in_a_traceback(
    workspace: Workspace, plan: Path, customspec: Run
) -> None:
    assert customspec("run", plan).code == 0  # what is harmless is then in the store
    before, document = kept(workspace.root), json.loads(plan.read_text())
    for what, changed in mutations({key: value for key, value in document.items() if key != "seal"}, 100):
        write_sealed(plan, changed)
        ended = customspec("run", plan)
        assert ended.code in {0, 2, 4, 5}, (what, ended.err)
    assert kept(workspace.root) == before


def test_nor_does_one_whose_fingerprints_are_made_anew(workspace: Workspace, plan: Path, customspec: Run) -> None:
    before, document = kept(workspace.root), json.loads(plan.read_text())
    for what, params in mutations([step["params"] for step in document["steps"]], 40):
        steps = [dict(step, params=value) for step, value in zip(document["steps"], params, strict=False)]
        write_sealed(plan, {**document, "steps": _fingerprinted(steps)})
        ended = customspec("run", plan)
        assert ended.code in {0, 1, 2, 4, 5}, (what, ended.err)
    assert kept(workspace.root) == before


def _fingerprinted(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made: dict[str, Step] = {}
    for step in steps:
        needs = [made[need] for need in step["needs"] if need in made]
        made[step["id"]] = Step.from_json({**step, "fingerprint": fingerprint(step["kind"], step["params"], needs)})
    return [dict(step, fingerprint=made[step["id"]].fingerprint) for step in steps]


def test_a_plan_reads_as_it_was_written(plan: Path) -> None:
    from customspec.saved import load, sealed

    read = load(plan.read_bytes())
    assert isinstance(read, Plan)
    assert load(json.dumps(sealed(read)).encode()) == read


class TestOnlyWhatWasPlanned:
    """A saved plan runs as it is, on the inputs that it was made of."""

    @pytest.fixture
    def plan(self, workspace: Workspace, customspec: Run) -> Path:
        out = workspace.root / "plan.json"
        ended = customspec("plan", workspace.spec("techniques: [zero_shot]"), "--out", out)
        assert ended.code == 0, ended.err
        return out

    def test_runs_what_was_planned(self, plan: Path, customspec: Run) -> None:
        assert run(customspec, plan)["candidates"][0]["status"] == "done"

    @pytest.mark.parametrize(
        ("file", "message"),
        [
            ("test.jsonl", "the test data changed"),
            ("spec.yaml", "spec.yaml changed"),
            ("model", "the model model changed"),
        ],
    )
    def test_is_refused_when_an_input_changed(
        self, plan: Path, workspace: Workspace, customspec: Run, file: str, message: str
    ) -> None:
        if file == "model":
            copy = shutil.copytree(workspace.root / "model", workspace.root / "copy")
            (workspace.root / "model").unlink()
            copy.rename(workspace.root / "model")
            config = workspace.root / "model" / "config.json"
            config.write_text(config.read_text() + " ")
        else:
            path = workspace.root / file
            path.write_text(path.read_text().replace("red", "rot").replace("colours", "colors"))
        ended = customspec("run", plan)
        assert ended.code == 5
        assert message in ended.err
        assert not (workspace.root / ".customspec" / "runs").exists()

    @pytest.mark.parametrize(
        ("file", "message"),
        [
            ("test.jsonl", "the test data test.jsonl is gone"),
            ("spec.yaml", "spec.yaml is gone"),
            ("model", "no model at model"),
        ],
    )
    def test_says_that_an_input_is_gone(
        self, plan: Path, workspace: Workspace, customspec: Run, file: str, message: str
    ) -> None:
        (workspace.root / file).unlink()
        ended = customspec("run", plan)
        assert ended.code == 5
        assert message in ended.err
        assert "changed" not in ended.err

    def test_is_refused_when_it_was_edited(self, plan: Path, customspec: Run) -> None:
        plan.write_text(plan.read_text().replace("Say whether", "Tell whether"))
        ended = customspec("run", plan)
        assert ended.code == 5
        assert f"{plan}: it was edited by hand: its seal is not that of what it says" in ended.err

    def test_takes_no_options_that_would_change_it(self, plan: Path, customspec: Run) -> None:
        ended = customspec("run", plan, "--limit", "2")
        assert ended.code == 2
        assert "a saved plan runs as it is" in ended.err
