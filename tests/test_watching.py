"""`run --watch`: what a watcher is told and when, and that none can harm a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from customspec.hookspecs import Extra
from customspec.registry import Registry, discover
from customspec.runners.watching import Watched, find_watchers
from support import Ended, Workspace

Command = Callable[..., Ended]

SPEC = ["techniques: [zero_shot, {lora: {r: 2, max_steps: 2}}]"]


class Notes:
    """A watcher that writes down what it is told, and raises where asked."""

    name = "notes"
    summary = "Writes down what it is told."

    def __init__(self, raises: str = "", error: BaseException | None = None) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self._raises = raises
        self._error = error or RuntimeError("out of paper")

    def _note(self, method: str, *arguments: Any) -> None:
        self.told.append((method, arguments))
        if method == self._raises:
            raise self._error

    def run_started(self, plan: Mapping[str, Any], folder: Path) -> None:
        self._note("run_started", plan, folder)

    def started(self, step: str, total: int | None) -> None:
        self._note("started", step, total)

    def progress(
        self, step: str, done: int, total: int | None, note: str = "", values: Mapping[str, float] | None = None
    ) -> None:
        self._note("progress", step, done, total, note, values)

    def finished(
        self,
        step: str,
        status: str,
        seconds: float,
        reason: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        self._note("finished", step, status, seconds, reason, values)

    def run_finished(self, results: Mapping[str, Any] | None) -> None:
        self._note("run_finished", results)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Notes], None]:
    """A function: `--watch notes` finds this watcher, as if a distribution offered it."""

    def offer(notes: Notes) -> None:
        found = Registry({**discover().offers, **discover([_entry(notes)]).offers})
        monkeypatch.setattr("customspec.cli.commands.run.discover", lambda: found)

    return offer


def _entry(notes: Notes) -> EntryPoint:
    from customspec.hookspecs import hookimpl

    def customspec_watchers() -> list[Notes]:
        return [notes]

    module = SimpleNamespace(customspec_watchers=hookimpl(customspec_watchers))

    class Found(EntryPoint):
        def load(self) -> Any:
            return module

    return Found("watcher.notes", "nowhere", "customspec")


def methods(notes: Notes) -> list[str]:
    return [method for method, _ in notes.told]


def test_a_watcher_is_told_everything_in_order(
    workspace: Workspace, customspec: Command, watch: Callable[[Notes], None]
) -> None:
    watch(notes := Notes())
    ended = customspec("run", workspace.spec(*SPEC), "--watch", "notes", "--json")
    assert ended.code == 0
    assert methods(notes)[0] == "run_started"
    assert methods(notes)[-1] == "run_finished"
    [plan, folder], [results] = notes.told[0][1], notes.told[-1][1]
    assert results == ended.json
    assert folder.name == results["run"]
    steps = [step["id"] for step in plan["steps"]]
    ends = [arguments for method, arguments in notes.told if method == "finished"]
    assert [step for step, *_ in ends] == steps
    assert {status for _, status, *_ in ends} == {"done"}
    [values] = [values for step, *_, values in ends if step == "evaluate:lora@0:test"]
    assert values["metrics"]["accuracy"]["value"] == results["candidates"][1]["metrics"]["test"]["accuracy"]["value"]
    for step in steps:
        mine = [method for method, arguments in notes.told if arguments[0] == step]
        assert mine[0] == "started"
        assert mine[-1] == "finished"
    curve = [arguments for method, arguments in notes.told if method == "progress" and arguments[-1]]
    assert [(step, done, total) for step, done, total, *_ in curve] == [("train:lora@0", 1, 2), ("train:lora@0", 2, 2)]
    assert all(values.keys() == {"loss", "learning_rate", "grad_norm"} for *_, values in curve)
    answered = [told for method, told in notes.told if method == "progress" and told[0] == "evaluate:lora@0:test"]
    counted = [(done, total) for _, done, total, *_ in answered if total]
    assert (counted[0], counted[-1]) == ((0, 12), (12, 12)), "the rate is counted from when the model is loaded"


def test_a_cached_step_is_finished_with_its_values_and_never_starts(
    workspace: Workspace, customspec: Command, watch: Callable[[Notes], None]
) -> None:
    spec = workspace.spec(*SPEC)
    assert customspec("run", spec).code == 0
    watch(notes := Notes())
    assert customspec("run", spec, "--watch", "notes").code == 0
    assert set(methods(notes)) == {"run_started", "finished", "run_finished"}
    ends = {arguments[0]: arguments for method, arguments in notes.told if method == "finished"}
    assert ends["train:lora@0"][1] == "cached"
    assert len(ends["train:lora@0"][4]["losses"]) == 2


@pytest.mark.parametrize("method", ["run_started", "started", "progress", "finished", "run_finished"])
@pytest.mark.parametrize("error", [RuntimeError("out of paper"), SystemExit(3)], ids=["error", "exit"])
def test_a_watcher_that_raises_is_named_logged_and_called_no_more(
    workspace: Workspace, customspec: Command, watch: Callable[[Notes], None], method: str, error: BaseException
) -> None:
    watch(notes := Notes(method, error))
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--watch", "notes", "--json")
    assert ended.code == 0
    assert ended.json["candidates"][0]["status"] == "done"
    assert ended.err.count(f"watcher `notes` is switched off: {type(error).__name__}: {error}") == 1
    assert methods(notes)[-1] == method
    assert methods(notes).count(method) == 1
    log = (workspace.run_folder(ended.json) / "log.txt").read_text()
    assert "watcher notes failed" in log
    assert "Traceback" in log


def test_an_interrupt_from_within_a_watcher_ends_the_run_like_any_other(
    workspace: Workspace, customspec: Command, watch: Callable[[Notes], None]
) -> None:
    watch(notes := Notes("started", KeyboardInterrupt()))
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--watch", "notes")
    assert ended.code == 130
    method, (results,) = notes.told[-1]
    assert method == "run_finished"
    assert [candidate["status"] for candidate in results["candidates"]] == ["skipped"]


def test_a_watcher_cannot_change_what_others_see() -> None:
    class Greedy(Notes):
        def run_finished(self, results: Any) -> None:
            results["candidates"].clear()

    shown, notes = Notes(), Notes()
    document = {"candidates": [1, 2]}
    together = Watched([shown], [Greedy(), notes], print)
    together.run_finished(document)
    together.run_finished(None)  # nobody listens any more
    assert document == {"candidates": [1, 2]}
    assert notes.told == [("run_finished", (document,))]


def test_a_failed_step_is_told_with_its_reason_and_what_needs_it_is_skipped(
    workspace: Workspace, customspec: Command, watch: Callable[[Notes], None]
) -> None:
    watch(notes := Notes())
    workspace.rows("test.jsonl", [{"text": "number 1 is red", "label": "warm" * 130}])
    prompt = 'prompt: {user: "{{ text }}", answer: "{{ label }}"}'
    spec = workspace.spec(
        "techniques: [zero_shot]", "metrics: [perplexity]", "generation: {max_new_tokens: 2}", prompt=prompt
    )
    assert customspec("run", spec, "--watch", "notes").code == 1
    [(_, status, _, reason, values)] = [
        arguments for method, arguments in notes.told if method == "finished" and arguments[0].endswith(":test")
    ]
    assert (status, values) == ("failed", None)
    assert re.fullmatch(r"row test:1 needs 5\d\d tokens with its answer; the context holds 512", reason)


def test_an_unknown_watcher_is_refused_before_anything_runs(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    ended = customspec("run", spec, "--watch", "tensorbord")
    assert ended == Ended(2, "", "error: --watch: no watcher `tensorbord` is installed; did you mean `tensorboard`?\n")
    ended = customspec("run", spec, "--watch", "wandb")
    assert ended == Ended(2, "", "error: --watch: no watcher `wandb` is installed; installed: mlflow, tensorboard\n")
    assert not (workspace.root / ".customspec" / "runs").exists()


def test_a_missing_extra_is_told_before_anything_runs(
    workspace: Workspace, customspec: Command, watch: Callable[[Notes], None]
) -> None:
    notes = Notes()
    notes.extra = Extra(("torch", "no_such_module"), "acme-notes[paper]")  # type: ignore[attr-defined]
    watch(notes)
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--watch", "notes")
    message = "watcher `notes` needs no_such_module, which is not installed: pip install 'acme-notes[paper]'"
    assert ended == Ended(4, "", f"error: {message}\n")
    assert not (workspace.root / ".customspec" / "runs").exists()


def test_a_watcher_named_twice_is_told_once() -> None:
    assert [watcher.name for watcher in find_watchers(["mlflow", "mlflow"], discover())] == ["mlflow"]
