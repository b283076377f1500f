"""A prompt that is fitted to the training rows: the step, and who sees the options found."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from support import Ended, Workspace, example, run

Command = Callable[..., Ended]
Install = Callable[..., None]
BEST = "best_draw: {shots: 2, tries: 3, scored: 4, draw: 7}"


@pytest.fixture
def space(workspace: Workspace, install: Install, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, with the page's technique installed."""
    install("acme-fit", "best_draw", example("best_draw"))
    monkeypatch.chdir(workspace.root)
    return workspace


# ------------------------------------------------------------------------------------------------------------- the plan


def test_the_plan_has_a_fit_of_each_seed_before_what_uses_it(space: Workspace, customspec: Command) -> None:
    spec = space.spec(f"techniques: [{{{BEST}}}]", "seeds: [0, 1]")
    ended = customspec("plan", spec)
    assert "note: the prompt of best_draw is fitted in the run: tokens, memory and time are those" in ended.out
    plan = customspec("plan", spec, "--json").json
    steps = {step["id"]: step for step in plan["steps"]}
    assert [id for id in steps if "@0" in id] == ["fit:best_draw@0", *(f"evaluate:best_draw@0:{s}" for s in SPLITS)]
    for seed in (0, 1):
        fit = steps[f"fit:best_draw@{seed}"]
        assert fit["needs"] == ["model", "data"]
        assert (fit["kind"], fit["params"]["seed"]) == ("fit", seed)
        assert steps[f"evaluate:best_draw@{seed}:test"]["needs"] == ["model", "data", fit["id"]]
    assert steps["fit:best_draw@0"]["fingerprint"] != steps["fit:best_draw@1"]["fingerprint"]


SPLITS = ("validation", "test")


def test_beside_a_tuning_technique_a_fit_is_that_of_the_prompt_alone(space: Workspace, customspec: Command) -> None:
    beside = (
        f"{{id: both, lora: {{r: 2, max_steps: 1}}, prompting: {{{BEST}}}, search: {{learning_rate: [1e-4, 1e-3]}}}}"
    )
    plan = customspec("plan", space.spec(f"techniques: [{beside}, {{{BEST}}}]", "seeds: [0, 1]"), "--json").json
    steps = {step["id"]: step for step in plan["steps"]}
    assert [id for id in steps if "both" in id and "@1" not in id][:3] == ["fit:both@0", "search:both", "train:both@0"]
    assert steps["search:both"]["needs"] == ["model", "data", "fit:both@0"]
    assert steps["train:both@1"]["needs"] == ["model", "data", "fit:both@1", "search:both"]
    assert steps["evaluate:both@1:test"]["needs"] == ["model", "data", "train:both@1", "fit:both@1"]
    # found once: the tuning technique has no say in it
    assert steps["fit:both@0"]["fingerprint"] == steps["fit:best_draw@0"]["fingerprint"]


def test_a_searched_prompt_is_fitted_with_what_the_search_finds(space: Workspace, customspec: Command) -> None:
    entry = "{best_draw: {tries: 2, scored: 4}, search: {shots: [1, 2]}}"
    plan = customspec("plan", space.spec(f"techniques: [{entry}]"), "--json").json
    steps = {step["id"]: step for step in plan["steps"]}
    assert steps["search:best_draw"]["needs"] == ["model", "data"]
    assert steps["fit:best_draw@0"]["needs"] == ["model", "data", "search:best_draw"]
    assert steps["evaluate:best_draw@0:test"]["needs"] == ["model", "data", "search:best_draw", "fit:best_draw@0"]


def test_without_training_rows_there_is_nothing_to_fit_to(space: Workspace, customspec: Command) -> None:
    text = space.spec(f"techniques: [{{{BEST}}}]").read_text().replace("train: train.jsonl, ", "")
    space.write("spec.yaml", text)
    ended = customspec("validate", "spec.yaml")
    assert ended.code == 2
    assert "CS405 `best_draw` is fitted to training rows: `data` has no `train`" in ended.err.splitlines()[0]


def test_what_a_person_is_shown_before_the_run_is_told_to_be_unfitted(space: Workspace, customspec: Command) -> None:
    ended = customspec("show", space.spec(f"techniques: [{{{BEST}}}]"))
    assert ended.code == 0
    assert "best_draw@0: its prompt is fitted in a run; shown is that of its options as given" in ended.err


# -------------------------------------------------------------------------------------------------------------- the run


def test_everything_after_a_fit_sees_its_options(space: Workspace, customspec: Command, install: Install) -> None:
    install("acme-plain", "plain_draw", plain())
    spec = space.spec(f"techniques: [{{{BEST}}}]", "cost: {requests_per_month: 9, price_per_device_hour: 3600.0}")
    document = run(customspec, spec)
    (best,) = document["candidates"]
    folder = space.candidate_folder(document, "best_draw@0")
    found = json.loads((folder / "fit.json").read_text())
    draw = found["options"]["draw"]
    assert draw < 3, "one of those tried, and not the one that the spec gives"
    assert best["fit"] == {"options": {"draw": draw}, "scored": 3 * 4}
    assert best["cost"]["fit_seconds"] == best["cost"]["price"]["once"] == found["fit_seconds"] > 0
    prompt = json.loads((folder / "prompt.json").read_text())
    assert prompt["prompting"]["options"]["draw"] == draw

    ended = customspec("run", spec)
    assert f"  - best_draw@0: draw {draw}: fitted by scoring 12 rows" in ended.out
    again = json.loads((space.root / ".customspec" / "runs" / "colours-0002" / "results.json").read_text())
    assert {step["status"] for id, step in again["steps"].items()} == {"cached"}
    assert again["candidates"][0]["fit"] == best["fit"]

    by_hand = run(customspec, space.spec(f"techniques: [{{plain_draw: {{shots: 2, draw: {draw}}}}}]"))
    predicted = "predictions/test/predictions.jsonl"
    lines = (folder / predicted).read_text()
    assert (space.candidate_folder(by_hand, "plain_draw@0") / predicted).read_text() == lines
    assert by_hand["candidates"][0]["fit"] is by_hand["candidates"][0]["cost"]["fit_seconds"] is None

    fresh = customspec("predict", folder.parent.parent, "test.jsonl")
    assert fresh.code == 0, fresh.err
    given = [json.loads(line)["probabilities"] for line in fresh.out.splitlines()]
    assert given == [json.loads(line)["probabilities"] for line in lines.splitlines()]

    out = space.root / "handed"
    assert customspec("export", folder.parent.parent, "--out", out).code == 0
    bundle = json.loads((out / "prompt.json").read_text())
    assert bundle["prompting"]["options"] == prompt["prompting"]["options"]
    assert bundle["shots"] == prompt["shots"]
    assert f'"draw": {draw}' in (out / "README.md").read_text()


def plain() -> str:
    """The page's technique by another name and without its `fit`."""
    source = example("best_draw").replace('"best_draw"', '"plain_draw"')
    return source[: source.index("    def fit(")] + source[source.index("    def drawn(") :]


def test_another_seed_is_fitted_anew_and_a_tuned_candidate_trains_with_what_was_found(
    space: Workspace, customspec: Command
) -> None:
    both = f"{{id: both, lora: {{r: 2, max_steps: 2}}, prompting: {{{BEST}}}}}"
    document = run(customspec, space.spec(f"techniques: [{both}, {{{BEST}}}]", "seeds: [0, 1]"))
    statuses = {id: step["status"] for id, step in document["steps"].items() if id.startswith("fit:")}
    assert statuses == {
        "fit:both@0": "done",
        "fit:both@1": "done",
        "fit:best_draw@0": "cached",
        "fit:best_draw@1": "cached",
    }
    by_key = {one["key"]: one for one in document["candidates"]}
    for seed in (0, 1):
        assert by_key[f"both@{seed}"]["fit"] == by_key[f"best_draw@{seed}"]["fit"]
        prompts = [
            json.loads((space.candidate_folder(document, f"{id}@{seed}") / "prompt.json").read_text()) for id in IDS
        ]
        assert prompts[0]["shots"] == prompts[1]["shots"] != []
        assert prompts[0]["prompting"] == prompts[1]["prompting"]
    run_folder = space.run_folder(document)
    for key in by_key:
        ended = customspec("predict", run_folder, "test.jsonl", "--candidate", key)
        assert ended.code == 0, ended.err
        lines = (space.candidate_folder(document, key) / "predictions" / "test" / "predictions.jsonl").read_text()
        given, before = ended.out.splitlines(), lines.splitlines()
        assert [json.loads(line)["prediction"] for line in given] == [json.loads(one)["prediction"] for one in before]


IDS = ("both", "best_draw")


def test_each_trial_of_a_search_is_fitted_and_then_the_best(space: Workspace, customspec: Command) -> None:
    entry = "{best_draw: {tries: 2, scored: 4}, search: {shots: [1, 2]}}"
    spec = space.spec(f"techniques: [{entry}]", "seeds: [0, 1]")
    document = run(customspec, spec)
    first, second = document["candidates"]
    shots = first["search"]["chosen"]["shots"]
    alone = run(customspec, space.spec(f"techniques: [{{best_draw: {{tries: 2, scored: 4, shots: {shots}}}}}]"))
    assert alone["candidates"][0]["fit"]["options"] == first["fit"]["options"]
    value = alone["candidates"][0]["metrics"]["validation"]["accuracy"]["value"]
    assert first["search"]["value"] == value == first["metrics"]["validation"]["accuracy"]["value"]
    for one in (first, second):
        prompt = json.loads((space.candidate_folder(document, one["key"]) / "prompt.json").read_text())
        assert prompt["prompting"]["options"]["shots"] == len(prompt["shots"]) == shots
        ended = customspec("predict", space.run_folder(document), "test.jsonl", "--candidate", one["key"])
        assert ended.code == 0, ended.err


def test_a_learning_curve_fits_each_size(space: Workspace, customspec: Command) -> None:
    document = run(customspec, space.spec(f"techniques: [{{{BEST}}}]"), "--curve", "50,100")
    assert [point["rows"] for point in document["curve"]["points"]] == [12, 24]
    assert document["curve"]["steps"]["fit:best_draw@0:50"]["status"] == "done"


def test_a_saved_plan_with_a_fit_runs(space: Workspace, customspec: Command) -> None:
    out = space.root / "plan.json"
    assert customspec("plan", space.spec(f"techniques: [{{{BEST}}}]"), "--out", out).code == 0
    assert run(customspec, out)["candidates"][0]["fit"] is not None
    plan = json.loads(out.read_text())
    lock = customspec("lock", "spec.yaml", "--json")
    assert lock.code == 0, lock.err
    assert any(step["kind"] == "fit" for step in plan["steps"])


def test_a_fit_can_be_interrupted_wherever_it_asks_the_scorer(
    space: Workspace, customspec: Command, install: Install
) -> None:
    install("acme-stop", "watcher.stop", STOP)
    spec = space.spec(f"techniques: [{{{BEST}}}]")
    ended = customspec("run", spec, "--watch", "stop")
    assert ended.code == 130
    assert "fit:best_draw@0: done" not in ended.err
    assert (space.root / "stopped").read_text() == "fit:best_draw@0: 4 rows scored"
    assert run(customspec, spec)["steps"]["fit:best_draw@0"]["status"] == "done"


STOP = """
from pathlib import Path

from customspec.hookspecs import hookimpl


class Stop:
    name, summary = "stop", "Interrupts a fit."

    def run_started(self, plan, folder): pass
    def started(self, step, total): pass
    def finished(self, step, status, seconds, reason=None, values=None): pass
    def run_finished(self, results): pass

    def progress(self, step, done, total, note="", values=None):
        if note == "rows scored":
            Path("stopped").write_text(f"{step}: {done} {note}")
            raise KeyboardInterrupt


@hookimpl
def customspec_watchers():
    return [Stop()]
"""
