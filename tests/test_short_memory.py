"""An evaluation that is short of memory: fewer tokens at once and the same answers, or an end with advice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from support import Ended, Workspace

Run = Callable[..., Ended]
TEXTS = 'prompt:\n  user: "{{ text }}"\n  answer: "{{ label }}"'
KINDS = {
    "choices": ("customspec.ml.scoring", "score_choices", (), ""),
    "generation": ("customspec.ml.generation", "sample", ("generation: {max_new_tokens: 3}",), TEXTS),
}


def starve(monkeypatch: pytest.MonkeyPatch, kind: str, most: int) -> None:
    """As torch's CPU allocator, where more than `most` tokens are to go through at once."""
    module, name = KINDS[kind][:2]
    computes: Callable[..., Any] = getattr(import_module(module), name)

    def starved(*given: Any, tokens_per_batch: int | None, **more: Any) -> Any:
        if tokens_per_batch is None or tokens_per_batch > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return computes(*given, tokens_per_batch=tokens_per_batch, **more)

    monkeypatch.setattr(import_module(module), name, starved)


def spec_of(workspace: Workspace, kind: str) -> Path:
    _, _, lines, prompt = KINDS[kind]
    return workspace.spec("techniques: [zero_shot]", *lines, prompt=prompt)


def predictions(run: Path) -> list[Any]:
    files = sorted(run.glob("candidates/*/predictions/*/predictions.jsonl"))
    assert files
    return [[json.loads(line)["prediction"] for line in file.read_text().splitlines()] for file in files]


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_with_fewer_tokens_at_once(
    workspace: Workspace, customspec: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    spec, store = spec_of(workspace, kind), workspace.root / ".customspec"
    assert customspec("run", spec).code == 0
    shutil.rmtree(store / "objects")
    starve(monkeypatch, kind, 128)
    ended = customspec("run", spec, "--json")
    assert ended.code == 0, ended.err
    assert "memory was short: at most 128 tokens went through at once" in ended.json["candidates"][0]["notes"]
    assert predictions(store / "runs" / "colours-0001") == predictions(store / "runs" / "colours-0002")


@pytest.mark.parametrize("kind", KINDS)
def test_when_the_least_is_too_much_it_ends_with_advice_and_the_next_run_goes_on(
    workspace: Workspace, customspec: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    spec = spec_of(workspace, kind)
    with monkeypatch.context() as patch:
        starve(patch, kind, 1)
        ended = customspec("run", spec, "--json")
    assert ended.code == 4
    [one] = ended.json["candidates"]
    assert one["status"] == "failed"
    assert "not enough memory to evaluate 64 tokens at once" in one["reason"]
    assert "Traceback" not in ended.err
    again = customspec("run", spec, "--json")
    assert again.code == 0
    assert again.json["steps"]["data"]["status"] == "cached"
