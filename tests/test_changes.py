"""Data that changes or goes away around a run: refused, or read from the run's own copy; never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from faults import make_plan, results, run

from customspec.errors import RefusedError
from customspec.inputs import splits
from customspec.prompts import Row
from customspec.runners.kinds import data
from customspec.store import Store

MORE = '{"text": "one more"}\n'


def test_data_that_changed_after_the_plan_is_refused(tmp_path: Path) -> None:
    plan, store = make_plan(tmp_path / "data"), Store(tmp_path / "store")
    with (tmp_path / "data" / "test.jsonl").open("a") as file:
        file.write(MORE)
    with pytest.raises(RefusedError, match=r"the test data \(test\.jsonl\) changed after the plan was made"):
        run(plan, store)
    assert len(list((store.root / "objects").glob("*/*"))) == 1, "the model's step, which is before"


def test_data_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = make_plan(tmp_path / "data"), Store(tmp_path / "store")

    def read_and_change(files: Any) -> splits.Splits:
        found = splits.read_splits(files)
        with (tmp_path / "data" / "train.jsonl").open("a") as file:
            file.write(MORE)
        return found

    monkeypatch.setattr(data, "read_splits", read_and_change)
    with pytest.raises(RefusedError, match="the train data"):
        run(plan, store)


def test_what_was_read_is_used_when_the_files_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = make_plan(tmp_path / "data", steps=3), Store(tmp_path / "store")
    run(plan, store)
    right = results(plan, store)
    for path in (tmp_path / "data").iterdir():
        path.unlink()

    def unexpected(*_: Any) -> Sequence[Row]:
        raise AssertionError("read again")

    monkeypatch.setattr(data, "read_splits", unexpected)
    run(plan, store)
    assert results(plan, store) == right
