"""What the steps of a run share: how often models are loaded and rows tokenized, and that no result shows it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import customspec.ml.probe  # noqa: F401  # measures the machine with a load of its own: there before loads are counted
from customspec.inputs.encoding import Encodings
from customspec.inputs.encoding import encode as encode_all
from customspec.inputs.tokens import Chat
from customspec.ml import models
from customspec.ml.bases import Bases
from customspec.runners import work
from customspec.runners.warm import KEPT, Warm
from customspec.store import Store
from support import Ended, Workspace

Command = Callable[..., Ended]
TECHNIQUES = """\
techniques: [zero_shot, {few_shot: {shots: 2}}, {lora: {r: 2, max_steps: 2}}, {prompt_tuning: {max_steps: 2}},
  {full: {max_steps: 2}}]"""


def predictions(workspace: Workspace, customspec: Command) -> dict[str, str]:
    ended = customspec("run", workspace.spec(TECHNIQUES), "--json")
    assert ended.code == 0, ended.err
    folder = workspace.run_folder(ended.json) / "candidates"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("predictions.jsonl"))}


def test_a_run_loads_its_base_once_until_full_fine_tuning_takes_it(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load, encode = models.load_model, encode_all
    tokenized: list[int] = []

    def loading(folder: Path, *args: Any, **options: Any) -> Any:
        loaded.append(folder.name)
        return load(folder, *args, **options)

    def encoding(examples: Any, *args: Any, **options: Any) -> Encodings:
        tokenized.append(len(examples))
        return encode(examples, *args, **options)

    monkeypatch.setattr(models, "load_model", loading)
    monkeypatch.setattr(work, "encode", encoding)
    found = predictions(workspace, customspec)
    assert len(found) == 10
    # nine steps on one base, then in each evaluation of the whole model what was trained, and no base beside it
    assert len(loaded) == 1 + 2
    assert loaded.count("files") == 2
    # the splits of zero-shot, of few-shot, and of all that is tuned; single rows are read for the report
    assert [count for count in tokenized if count > 1] == [12, 12, 12, 12, 24, 12, 12]


def test_a_second_run_looks_at_each_result_once_and_loads_one_tokenizer(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These are most of its time: a result of half a gigabyte is read from end to end whenever it is looked at."""
    first = customspec("run", workspace.spec(TECHNIQUES), "--json").json
    looked_at: list[str] = []
    loaded: list[str] = []
    tokenizer = vars(Chat)["tokenizer"]
    get, load = Store.get, tokenizer.func

    def looking(self: Store, key: str) -> Any:
        looked_at.append(key)
        return get(self, key)

    def loading(self: Chat) -> Any:
        loaded.append(self.folder.name)
        return load(self)

    monkeypatch.setattr(Store, "get", looking)
    monkeypatch.setattr(tokenizer, "func", loading)
    second = customspec("run", workspace.root / "spec.yaml", "--json").json
    assert {step["status"] for step in second["steps"].values()} == {"cached"}
    assert len(looked_at) == len(set(looked_at)) == len(first["steps"])
    assert len(loaded) == 1


@pytest.mark.faults
def test_no_prediction_shows_that_the_base_was_lent(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = predictions(workspace, customspec)
    monkeypatch.setattr(Bases, "lend", lambda self, key, load: load())
    shutil.rmtree(workspace.root / ".customspec" / "objects")
    assert predictions(workspace, customspec) == warm


def test_the_last_few_tokenized_splits_are_kept() -> None:
    warm, made = Warm(), []

    def ask(number: int) -> None:
        warm.encodings({"n": number}, lambda: made.append(number) or Encodings(()))  # type: ignore[func-returns-value]

    for number in (*range(KEPT), 0, KEPT, 0, 1):
        ask(number)
    assert made == [*range(KEPT), KEPT, 1]


def test_training_rows_are_read_for_demonstrations_alone(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = work.Work.rows

    def noting(self: work.Work, split: str) -> Any:
        asked.append(split)
        return rows(self, split)

    monkeypatch.setattr(work.Work, "rows", noting)
    for technique, expected in (
        ("zero_shot", 0),
        ("{few_shot: {shots: 2}}", 3),
    ):  # two splits, and the report's example
        asked.clear()
        assert customspec("run", workspace.spec(f"techniques: [{technique}]")).code == 0
        assert asked.count("train") == expected
