"""What tests of the store publish, and what then lies in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from customspec.plan import Result
from customspec.store import Store

Publish = Callable[..., Result]
KEY = "ab" * 32
OTHER = "cd" * 32
WEIGHTS = bytes(range(256)) * 512  # 128 KiB


def objects(store: Store) -> list[Path]:
    return sorted((store.root / "objects").glob("*/*"))


def drafts(store: Store) -> list[Path]:
    return sorted((store.root / "tmp").iterdir())
