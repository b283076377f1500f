from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from customspec.inputs import hub_rows
from customspec.prompts import Row
from customspec.spec import Split

SPLIT = Split(hub="owner/rows", split="train")


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_hub(*_: object) -> Iterator[Row]:
        for number in range(3):
            yield Row(f"hub:{number}", {"text": f"row {number}"}, f"hub:{number}")

    monkeypatch.setattr(hub_rows, "read_hub", read_hub)


def test_rows_are_kept_where_they_were_fetched(tmp_path: Path) -> None:
    assert hub_rows.cached_rows(SPLIT, tmp_path) is None
    kept = hub_rows.fetch_rows(SPLIT, tmp_path)
    assert hub_rows.cached_rows(SPLIT, tmp_path) == kept
    assert len(kept.read_text().splitlines()) == 3


@pytest.mark.parametrize("damage", [b"", b'{"text": "row 0"}\n', b'{"text": "row 9"}\n' * 3])
def test_rows_that_are_not_as_they_were_kept_are_fetched_again(tmp_path: Path, damage: bytes) -> None:
    kept = hub_rows.fetch_rows(SPLIT, tmp_path)
    whole = kept.read_bytes()
    kept.write_bytes(damage)
    assert hub_rows.cached_rows(SPLIT, tmp_path) is None
    assert hub_rows.fetch_rows(SPLIT, tmp_path).read_bytes() == whole
    assert hub_rows.cached_rows(SPLIT, tmp_path) == kept
