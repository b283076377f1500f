from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.plan import Result
from customspec.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def publish() -> Callable[..., Result]:
    """Publishes a result of three files in two folders."""

    def publish(store: Store, key: str, values: dict[str, Any] | None = None) -> Result:
        with store.publishing(key, "train:lora@0") as draft:
            (draft.folder / "model").mkdir()
            (draft.folder / "model" / "weights.safetensors").write_bytes(bytes(range(256)) * 512)
            (draft.folder / "notes.txt").write_text("fine\n", encoding="utf-8")
            (draft.folder / "empty").touch()
            return draft.publish({"accuracy": 0.5} if values is None else values)

    return publish
