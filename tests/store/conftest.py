from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faults import make_plan
from published import WEIGHTS, Publish

from customspec.plan import Plan, Result
from customspec.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(tmp_path / "data")


@pytest.fixture(scope="session")
def publish() -> Publish:
    """Publishes a result of three files in two folders."""

    def publish(store: Store, key: str, values: dict[str, Any] | None = None) -> Result:
        with store.publishing(key, "train:lora@0") as draft:
            (draft.folder / "model").mkdir()
            (draft.folder / "model" / "weights.safetensors").write_bytes(WEIGHTS)
            (draft.folder / "notes.txt").write_text("fine\n", encoding="utf-8")
            (draft.folder / "empty").touch()
            return draft.publish({"accuracy": 0.5} if values is None else values)

    return publish
