"""SIGINT and SIGTERM while a model is loaded, a GGUF file converted, rows scored, tokens generated, new rows answered:
no more of it is begun, what was finished is kept, and the same command goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gguf_files import write_gguf
from torch import nn
from transformers import PreTrainedModel, core_model_loading

from customspec.ml import models
from customspec.runners import predict
from customspec.runners.kinds import evaluate
from customspec.store import Store
from customspec.store.upkeep import find_faults
from support import Ended, Workspace

Command = Callable[..., Ended]

SCORED = "techniques: [zero_shot, few_shot]"
WRITTEN = """\
prompt: {user: "{{ text }}", answer: "{{ label }}"}
generation: {max_new_tokens: 24}
techniques: [few_shot]"""


class Sender:
    """Sends this process a signal within the `at`th of the calls that are counted, from the moment that it is armed.
    `code` is the exit code that the signal asks for."""

    def __init__(self, number: signal.Signals, code: int, patch: pytest.MonkeyPatch) -> None:
        self.number, self.code, self._patch = number, code, patch
        self.at = self.count = 0

    def arm(self, place: Any, name: str, at: int, call: int = 1) -> None:
        """It is armed when the function is called for the `call`th time."""
        whole, calls = getattr(place, name), 0

        def arms(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call:
                self.at, self.count = at, 0
            return whole(*arguments, **named)

        self._patch.setattr(place, name, arms)

    def called(self) -> None:
        if self.at:
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), self.number)


@pytest.fixture(params=[(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def sender(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    number, code = request.param
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in a shell's background
    yield Sender(number, code, monkeypatch)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def forwards(sender: Sender) -> Iterator[Sender]:
    """Counts each pass through a whole model."""

    def passing(module: nn.Module, _: Any) -> None:
        if isinstance(module, PreTrainedModel) and module.get_output_embeddings() is not None:
            sender.called()

    handle = nn.modules.module.register_module_forward_pre_hook(passing)
    yield sender
    handle.remove()


@pytest.fixture
def tensors(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """Counts each tensor that is read of a model's files."""
    whole = core_model_loading.spawn_materialize

    def counted(*arguments: Any, **named: Any) -> Any:
        sender.called()
        return whole(*arguments, **named)

    monkeypatch.setattr(core_model_loading, "spawn_materialize", counted)
    return sender


def stopped_and_continued(workspace: Workspace, customspec: Command, sender: Sender) -> None:
    """The run ends at the signal, tears nothing, says what continues it; and then has the results of one that nothing
    disturbed."""
    stopped = customspec("run", "spec.yaml")
    assert stopped.code == sender.code, stopped.err
    assert sender.count == sender.at, "more was begun after the signal"
    assert "run the same command again to continue: customspec run spec.yaml" in stopped.err
    assert "Traceback" not in stopped.err
    root = workspace.root / ".customspec"
    assert list((root / "tmp").iterdir()) == []
    assert list(find_faults(Store(root))) == []
    sender.at = 0
    told = []
    for _ in range(2):  # going on, and all anew
        again = customspec("run", "spec.yaml", "--json")
        assert again.code == 0, again.err
        told.append([(one["key"], one["metrics"]) for one in again.json["candidates"]])
        shutil.rmtree(root / "objects")
    assert told[0] == told[1]


@pytest.fixture(autouse=True)
def _here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)


def test_a_model_is_loaded_no_further(workspace: Workspace, customspec: Command, tensors: Sender) -> None:
    workspace.spec("techniques: [zero_shot]")
    tensors.arm(evaluate, "load_candidate", at=5)
    stopped_and_continued(workspace, customspec, tensors)
    first = json.loads((workspace.root / ".customspec" / "runs" / "colours-0001" / "results.json").read_text())
    assert [(one["status"], one["reason"]) for one in first["candidates"]] == [("skipped", "the run was interrupted")]


def test_a_gguf_file_is_converted_no_further(workspace: Workspace, customspec: Command, tensors: Sender) -> None:
    write_gguf(workspace.root / "tiny.gguf", workspace.root / "model")
    spec = workspace.spec("techniques: [zero_shot]")
    spec.write_text(spec.read_text().replace("path: model", "path: tiny.gguf"))
    tensors.arm(models, "convert_gguf", at=5)
    stopped_and_continued(workspace, customspec, tensors)


def test_rows_are_scored_no_further(workspace: Workspace, customspec: Command, forwards: Sender) -> None:
    workspace.spec(SCORED)
    # of the first candidate's validation rows: one answer to warm up, then all; then one, and all, of the test rows
    forwards.arm(evaluate, "answer", at=2, call=4)
    stopped_and_continued(workspace, customspec, forwards)
    steps = json.loads((workspace.root / ".customspec" / "runs" / "colours-0002" / "results.json").read_text())["steps"]
    assert steps["evaluate:zero_shot@0:validation"]["status"] == "cached"


def test_tokens_are_generated_no_further(workspace: Workspace, customspec: Command, forwards: Sender) -> None:
    workspace.spec(prompt=WRITTEN)
    forwards.arm(evaluate, "answer", at=7)
    stopped_and_continued(workspace, customspec, forwards)


@pytest.mark.parametrize("before", [None, "of before\n"])
def test_new_rows_are_answered_no_further_and_no_file_is_torn(
    workspace: Workspace,
    customspec: Command,
    forwards: Sender,
    before: str | None,
) -> None:
    workspace.spec("techniques: [zero_shot]")
    assert customspec("run", "spec.yaml").code == 0
    out = workspace.root / "answers.jsonl"
    if before is not None:
        out.write_text(before)
    forwards.arm(predict, "answer", at=2)
    command = ("predict", "spec.yaml", "test.jsonl", "--out", out)
    stopped = customspec(*command)
    assert stopped.code == forwards.code, stopped.err
    assert forwards.count == forwards.at
    assert (out.read_text() if out.exists() else None) == before
    assert f"customspec predict spec.yaml test.jsonl --out {out}" in stopped.err
    assert [path.name for path in workspace.root.iterdir() if path.name.endswith(".tmp")] == []
    forwards.at = 0
    assert customspec(*command).code == 0
    assert len(out.read_text().splitlines()) == 12
