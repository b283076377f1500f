"""Parquet files, and the hub: there a folder `owner/name` stands in for it, as `datasets` itself sees to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import customspec
from customspec.errors import Code, Exit
from customspec.inputs.rows import RowError, read_hub, read_rows
from customspec.prompts import Row
from support import Ended, Workspace


def read(path: Path) -> list[Row]:
    return list(read_rows("train", [(path.name, path)]))


def parquet(folder: Path, columns: dict[str, list[Any]], **options: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    path = folder / "t.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), path, **options)
    return path


def test_parquet_comes_back_as_plain_data(tmp_path: Path) -> None:
    turn = {"role": "user", "content": "hi"}
    columns: dict[str, tuple[Any, Any, Any]] = {  # what is written, and what comes back, beside null
        "text": ("a", None, "a"),
        "count": (1, None, 1),
        "share": (0.5, None, 0.5),
        "flag": (True, None, True),
        "turns": ([turn], None, [turn]),
        "day": (date(2024, 2, 29), None, "2024-02-29"),
        "price": (Decimal("1.50"), None, "1.50"),
    }
    path = parquet(tmp_path, {name: [value, null] for name, (value, null, _) in columns.items()})
    assert read(path) == [
        Row("train:1", {name: back for name, (_, _, back) in columns.items()}, "t.parquet: row 1"),
        Row("train:2", dict.fromkeys(columns), "t.parquet: row 2"),
    ]


def test_parquet_of_many_row_groups_is_read_in_order(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"n": list(range(1000))}, row_group_size=300)
    assert [row.fields["n"] for row in read(path)] == list(range(1000))


@pytest.mark.parametrize(
    ("columns", "code", "message"),
    [
        ({"a": [1.0, float("nan")]}, Code.DATA_ROW, "t.parquet: row 2: `a` is nan, which is not a finite number"),
        ({"a": [[float("inf")]]}, Code.DATA_ROW, "t.parquet: row 1: `a` is inf, which is not a finite number"),
        ({"picture": [b"\x89PNG"]}, Code.DATA_ROW, "t.parquet: row 1: `picture` holds bytes, not text"),
        ({"a": [], "b": []}, Code.DATA_EMPTY, "t.parquet has 0 rows; at least 1 is needed"),
        ({"a": ["x"], " ": ["y"]}, Code.DATA_FORMAT, "t.parquet: column 2 has no name"),
    ],
)
def test_a_mistake_in_parquet_is_told(tmp_path: Path, columns: dict[str, list[Any]], code: Code, message: str) -> None:
    with pytest.raises(RowError) as caught:
        read(parquet(tmp_path, columns))
    assert (caught.value.code, caught.value.message) == (code, message)


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pytest.importorskip("pyarrow").table([[1], [2]], names=["a", "a"])
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "t.parquet")
    with pytest.raises(RowError, match=r"^t\.parquet: two columns have the name `a`$"):
        read(tmp_path / "t.parquet")


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_parquet_file_that_is_cut_off_is_refused(tmp_path: Path, kept: float) -> None:
    path = parquet(tmp_path, {"a": ["x" * 100] * 100})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(
        RowError, match=r"^t\.parquet cannot be read as parquet: Parquet magic bytes not found"
    ) as caught:
        read(path)
    assert caught.value.code == Code.DATA_FORMAT


def hide(monkeypatch: pytest.MonkeyPatch, modules: Iterable[str]) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)  # Python's own way of saying: cannot be imported


def test_without_pyarrow_a_parquet_file_asks_for_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    hide(monkeypatch, ["pyarrow", "pyarrow.parquet"])
    with pytest.raises(RowError, match=r"^t\.parquet needs pyarrow: ") as caught:
        read(tmp_path / "t.parquet")
    assert (caught.value.code, caught.value.exit) == (Code.EXTRA_MISSING, Exit.ENVIRONMENT)
    assert caught.value.hint == "pip install 'customspec[parquet]'"


def test_without_datasets_the_hub_asks_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, ["datasets"])
    with pytest.raises(RowError, match=r"^owner/name needs datasets: ") as caught:
        next(read_hub("train", "owner/name", None, None, "train"))
    assert (caught.value.code, caught.value.exit) == (Code.EXTRA_MISSING, Exit.ENVIRONMENT)
    assert caught.value.hint == "pip install 'customspec[hub]'"


def test_what_fetches_data_sets_is_looked_for_before_anything_runs(
    workspace: Workspace, customspec: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, ["datasets"])
    monkeypatch.chdir(workspace.root)
    text = workspace.spec("techniques: [zero_shot]").read_text()
    workspace.write("spec.yaml", text.replace("test: test.jsonl", "test: {hub: owner/rows, split: test}"))
    for command in ("validate", "plan", "run"):
        ended = customspec(command, "spec.yaml")
        assert ended.code == 4
        assert "spec.yaml:4:70: CS702 owner/rows needs datasets: it is not installed" in ended.err
        assert "= pip install 'customspec[hub]'" in ended.err


HUB = """
import json, sys
from customspec.inputs.rows import RowError, read_hub
def told(request):
    try:
        return [(row.id, row.place, row.fields) for row in read_hub("train", *request)]
    except RowError as fault:
        return f"{fault.code} {fault}"
print(json.dumps([told(request) for request in json.loads(sys.argv[1])]))
"""


def read_offline(folder: Path, *requests: tuple[str | None, ...]) -> list[Any]:
    """What a process that must stay offline, with `folder` to work in, reads or is told at each request."""
    pytest.importorskip("datasets")
    environment = {
        **os.environ,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(customspec.__path__[0]).parent),
    }
    program = [sys.executable, "-c", HUB, json.dumps(requests)]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, check=True, text=True)
    answers: list[Any] = json.loads(done.stdout)
    return answers


def repository(folder: Path, name: str, lines: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "train.jsonl").write_text(lines, encoding="utf-8")


def test_a_data_set_on_the_hub_is_read_row_by_row(tmp_path: Path) -> None:
    repository(tmp_path, "owner/name", '{"text": "a", "n": 1}\n{"text": "b", "n": null}\n{"text": "c", "n": 3}\n')
    assert read_offline(tmp_path, ("owner/name", None, None, "train[:2]")) == [
        [
            ["train:1", "owner/name: row 1", {"text": "a", "n": 1}],
            ["train:2", "owner/name: row 2", {"text": "b", "n": None}],
        ]
    ]


def test_what_the_hub_does_not_give_is_told_with_the_cause(tmp_path: Path) -> None:
    repository(tmp_path, "owner/name", '{"a": 1}\n')
    repository(tmp_path, "owner/broken", '{"a": 1}\n{"a": ')
    *told, broken = read_offline(
        tmp_path,
        ("owner/other", None, None, "train"),
        ("owner/name", None, "german", "train"),
        ("owner/name", None, None, "dev"),
        ("owner/name", None, None, "train[:0]"),
        ("owner/broken", None, None, "train"),
    )
    assert told == [
        "CS401 cannot get owner/other from the hub: Couldn't reach 'owner/other' on the Hub (OfflineModeIsEnabled)",
        "CS401 cannot get owner/name from the hub: BuilderConfig 'german' not found. Available: ['default']",
        "CS401 cannot get owner/name from the hub: Unknown split \"dev\". Should be one of ['train'].",
        'CS401 cannot get owner/name from the hub: Instruction "train[:0]" corresponds to no data!',
    ]
    assert broken.startswith("CS401 cannot get owner/broken from the hub: JSON parse error")


# --- small files of large rows


def repeated(folder: Path, rows: int, text: str, *, inside: bool = False) -> Path:
    """A parquet file of few bytes: one text, which stands in every row."""
    arrow = pytest.importorskip("pyarrow")
    column = arrow.DictionaryArray.from_arrays(arrow.array([0] * rows, arrow.int32()), arrow.array([text]))
    turns = arrow.ListArray.from_arrays(arrow.array(range(rows + 1), arrow.int32()), column)
    path = folder / "t.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"text": turns if inside else column}), path)
    return path


@pytest.mark.parametrize("inside", [False, True])
def test_a_text_that_is_repeated_without_end_is_not_unrolled(tmp_path: Path, inside: bool) -> None:
    path = repeated(tmp_path, 100_000, "x" * 4_000_000, inside=inside)
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    with pytest.raises(RowError, match=r"t\.parquet: row \d+: the rows so far have \d+ MiB, far more than") as caught:
        for _ in read_rows("train", [(path.name, path)]):
            pass
    assert caught.value.code == Code.DATA_FORMAT
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_a_row_longer_than_a_row_of_text_may_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RowError, match=r"t\.parquet: row 1: the row is longer than 16 MiB"):
        read(repeated(tmp_path, 1, "x" * (16 << 20) + "x"))


def test_long_rows_and_short_ones_come_in_order(tmp_path: Path) -> None:
    texts = [str(number) * (1 if number % 7 else 3_000_000) for number in range(40)]
    assert [row.fields["text"] for row in read(parquet(tmp_path, {"text": texts}))] == texts
