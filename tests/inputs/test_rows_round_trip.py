"""Rows of every kind, written as JSON lines, JSON and CSV, come back equal."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.inputs.rows import read_rows

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["\u2028\u2029", "\x85\f", "\ufeff", "\r"]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "number": st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "list": st.lists(TEXT | st.integers(), max_size=3),
    "object": st.dictionaries(TEXT, TEXT | st.lists(st.booleans(), max_size=2), max_size=3),
}
COLUMNS = st.dictionaries(TEXT, st.sampled_from(sorted(VALUES)), min_size=1, max_size=4)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig"])


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(COLUMNS)
    row = st.fixed_dictionaries({column: st.none() | VALUES[kind] for column, kind in kinds.items()})
    return draw(st.lists(row, min_size=1, max_size=6))


@settings(derandomize=True, deadline=None)
@given(tables(), st.booleans(), ENCODINGS, st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_rows_written_as_jsonl_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], escaped: bool, encoding: str, end: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    path.write_bytes(end.join(json.dumps(row, ensure_ascii=escaped) for row in rows).encode(encoding))
    assert [row.fields for row in read_rows("train", [(path.name, path)])] == rows


@settings(derandomize=True, deadline=None)
@given(tables(), st.booleans(), ENCODINGS, st.sampled_from([None, 2]))
def test_rows_written_as_json_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    escaped: bool,
    encoding: str,
    indent: int | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    path.write_bytes(json.dumps(rows, ensure_ascii=escaped, indent=indent).encode(encoding))
    assert [row.fields for row in read_rows("train", [(path.name, path)])] == rows


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
HEADERS = st.lists(CELLS.filter(str.strip), min_size=1, max_size=4, unique=True)


@settings(derandomize=True, deadline=None)
@given(st.data(), HEADERS, st.sampled_from([(".csv", ","), (".tsv", "\t")]), st.sampled_from(["\n", "\r\n"]))
def test_rows_written_as_csv_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    header: list[str],
    dialect: tuple[str, str],
    end: str,
) -> None:
    ending, delimiter = dialect
    records = data.draw(st.lists(st.tuples(*[CELLS] * len(header)), min_size=1, max_size=6))
    file = io.StringIO(newline="")
    # all in quotes: csv.writer would leave a lone carriage return bare where lines end with a line feed
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *records])
    path = tmp_path_factory.getbasetemp() / f"round{ending}"
    path.write_bytes(file.getvalue().encode("utf-8-sig"))
    rows = [row.fields for row in read_rows("train", [(path.name, path)])]
    assert rows == [dict(zip(header, record, strict=True)) for record in records]
