from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.errors import Code, Exit
from customspec.inputs.rows import RowError, read_hub, read_rows
from customspec.prompts import Row

MIB = 2**20
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NULLS = "give every row the same columns, with null where there is no value"
INTERRUPTED = "was the copy interrupted?"
CUT = "the row is cut off in the middle (no closing `}`, no final newline)"
ONE_LINE = "a row of a .jsonl file stands on one line; name a JSON list .json"
NOT_A_NUMBER = "use null or drop the row"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*contents: tuple[str, str | bytes]) -> list[Row]:
    return list(read_rows("train", [(name, written(name, content)) for name, content in contents]))


def written(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def fault_of(rows: Callable[[], object]) -> RowError:
    with pytest.raises(RowError) as caught:
        rows()
    assert str(caught.value) == caught.value.message
    return caught.value


# ------------------------------------------------------------------------------------------------------ what is wrong

JSONL = [
    ("a file of no bytes", "", Code.DATA_EMPTY, "t.jsonl has 0 rows; at least 1 is needed", None),
    ("a file of blank lines", "\n \r\n\n", Code.DATA_EMPTY, "t.jsonl has 0 rows; at least 1 is needed", None),
    ("a row cut in a key", '{"a": 1}\n{"text"', Code.DATA_ROW, f"t.jsonl:2:8: {CUT}", INTERRUPTED),
    ("a row cut in a text", '{"a": 1}\n{"a": "caf', Code.DATA_ROW, f"t.jsonl:2:7: {CUT}", INTERRUPTED),
    ("a row cut in an escape", '{"a": "x\\u12', Code.DATA_ROW, f"t.jsonl:1:10: {CUT}", INTERRUPTED),
    ("a row cut in a literal", '{"a": tru', Code.DATA_ROW, f"t.jsonl:1:7: {CUT}", INTERRUPTED),
    ("a row cut behind an inner brace", '{"a": {"b": 1}', Code.DATA_ROW, f"t.jsonl:1:15: {CUT}", INTERRUPTED),
    (
        "Latin-1",
        b'{"a": "caf\xe9"}\n',
        Code.DATA_FORMAT,
        "t.jsonl:1:11: byte 0xE9 is not UTF-8",
        "convert it, for instance: iconv -f latin1 -t utf-8 t.jsonl",
    ),
    (
        "mixed encodings: the column counts characters",
        '{"a": "é"}\n{"a": "é'.encode() + b'\xff"}',
        Code.DATA_FORMAT,
        "t.jsonl:2:9: byte 0xFF is not UTF-8",
        "convert it, for instance: iconv -f latin1 -t utf-8 t.jsonl",
    ),
    (
        "a character cut in the middle",
        '{"a": "é'.encode()[:-1],
        Code.DATA_FORMAT,
        "t.jsonl:1:8: byte 0xC3 is not UTF-8",
        "was the copy interrupted? If not, convert it, for instance: iconv -f latin1 -t utf-8 t.jsonl",
    ),
    (
        "UTF-16",
        "\ufeff{}".encode("utf-16-le"),
        Code.DATA_FORMAT,
        "t.jsonl is UTF-16 text",
        "convert it: iconv -f utf-16 -t utf-8",
    ),
    (
        "a Git LFS pointer",
        LFS,
        Code.DATA_FORMAT,
        "t.jsonl is a Git LFS pointer instead of the data",
        "run `git lfs pull`",
    ),
    ("gzip under another name", b"\x1f\x8b\x08", Code.DATA_FORMAT, "t.jsonl is compressed by gzip", "unpack it first"),
    (
        "a duplicate key",
        '{"text": "a", "label": 1}\n{"text": "b", "label": 2, "text": "c"}\n',
        Code.DATA_ROW,
        "t.jsonl:2:27: key `text` appears twice in one row",
        None,
    ),
    (
        "a duplicate key in another spelling",
        '{"text": 1, "te\\u0078t": 2}',
        Code.DATA_ROW,
        "t.jsonl:1:13: key `text` appears twice in one row",
        None,
    ),
    (
        "a duplicate key in an inner object, after a text that looks like one",
        r'{"a": "{\"k\": 1, \"k\": 2}", "b": {"k": 1}, "c": [{"k": 1, "k": 2}]}',
        Code.DATA_ROW,
        "t.jsonl:1:61: key `k` appears twice in one row",
        None,
    ),
    (
        "a key that would command the terminal",
        '{"\\u001b[31m": 1, "\\u001b[31m": 2}',
        Code.DATA_ROW,
        "t.jsonl:1:19: key `\N{REPLACEMENT CHARACTER}[31m` appears twice in one row",
        None,
    ),
    (
        "a key that fills the screen",
        f'{{"{"k" * 99}": 1, "{"k" * 99}": 2}}',
        Code.DATA_ROW,
        f"t.jsonl:1:107: key `{'k' * 60}…` appears twice in one row",
        None,
    ),
    ("NaN", '{"a": NaN}', Code.DATA_ROW, f"t.jsonl:1:7: NaN is not JSON; {NOT_A_NUMBER}", None),
    ("Infinity", '{"a": [1, -Infinity]}', Code.DATA_ROW, f"t.jsonl:1:11: -Infinity is not JSON; {NOT_A_NUMBER}", None),
    ("1e400", '{"a": 1e400}', Code.DATA_ROW, f"t.jsonl:1:7: `1e400` is too large for a number; {NOT_A_NUMBER}", None),
    (
        "NaN behind a text of that name",
        '{"NaN": "NaN", "b": NaN}',
        Code.DATA_ROW,
        f"t.jsonl:1:21: NaN is not JSON; {NOT_A_NUMBER}",
        None,
    ),
    (
        "a number of too many digits",
        '{"a": -' + "9" * 5000 + "}",
        Code.DATA_ROW,
        f"t.jsonl:1:7: `-{'9' * 59}…` has too many digits for a number",
        None,
    ),
    (
        "half of a surrogate pair",
        '{"text": "\\ud83d\\ude00"}\n{"text": "\\\\ud800 \\uD800"}',
        Code.DATA_ROW,
        "t.jsonl:2:10: unpaired surrogate U+D800 in `text`; the text cannot be stored as UTF-8",
        None,
    ),
    (
        "half of a surrogate pair in a key",
        '{"t\\udc00": 1}',
        Code.DATA_ROW,
        "t.jsonl:1:2: unpaired surrogate U+DC00 in a key; the text cannot be stored as UTF-8",
        None,
    ),
    (
        "a list",
        '\n  [{"a": 1}]\n',
        Code.DATA_ROW,
        "t.jsonl:2:3: expected an object on each line, found a list",
        "is this a JSON list? Name the file .json",
    ),
    ("a text", '"a"\n', Code.DATA_ROW, "t.jsonl:1:1: expected an object on each line, found text", None),
    ("a number", "-1\n", Code.DATA_ROW, "t.jsonl:1:1: expected an object on each line, found a number", None),
    ("a boolean", "false\n", Code.DATA_ROW, "t.jsonl:1:1: expected an object on each line, found a boolean", None),
    ("null", "null\n", Code.DATA_ROW, "t.jsonl:1:1: expected an object on each line, found null", None),
    ("no JSON", "hello\n", Code.DATA_ROW, "t.jsonl:1:1: expected an object on each line, found `h`", None),
    (
        "two objects on a line",
        '{"a": 1} {"a": 2}\n',
        Code.DATA_ROW,
        "t.jsonl:1:10: there is more text behind the row's object",
        None,
    ),
    (
        "a Python dict",
        "{'a': 1}\n",
        Code.DATA_ROW,
        "t.jsonl:1:2: not JSON: expecting property name enclosed in double quotes",
        None,
    ),
    (
        "an object over many lines",
        '{\n"a": 1\n}\n',
        Code.DATA_ROW,
        "t.jsonl:1:2: not JSON: expecting property name enclosed in double quotes",
        ONE_LINE,
    ),
    (
        "a line feed inside a text",
        '{"a": "b\nc"}\n',
        Code.DATA_ROW,
        "t.jsonl:1:7: not JSON: unterminated string",
        ONE_LINE,
    ),
    ("a NUL inside a text", '{"a": "b\0c"}\n', Code.DATA_ROW, "t.jsonl:1:9: not JSON: invalid control character", None),
    (
        "nesting without end",
        '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}",
        Code.DATA_ROW,
        "t.jsonl:1:1: nested too deeply",
        None,
    ),
    (
        "a giant row",
        '{"a": 1}\n{"a": "' + "x" * 16 * MIB + '"}\n',
        Code.DATA_ROW,
        "t.jsonl:2: the row is longer than 16 MiB",
        None,
    ),
    (
        "a column of two kinds",
        '{"label": 1}\n\n{"label": "x"}\n',
        Code.DATA_ROW,
        "t.jsonl:3: `label` is text here but a number at t.jsonl:1",
        None,
    ),
    (
        "a boolean among numbers, after null",
        '{"a": null}\n{"a": 1.5}\n{"a": true}\n',
        Code.DATA_ROW,
        "t.jsonl:3: `a` is a boolean here but a number at t.jsonl:2",
        None,
    ),
    (
        "a list among objects",
        '{"a": {}}\n{"a": []}',
        Code.DATA_ROW,
        "t.jsonl:2: `a` is a list here but an object at t.jsonl:1",
        None,
    ),
    (
        "a missing column, and what cannot be read after it",
        '{"text": "a", "label": 1}\n{"text": "b"}\n{"text": "c", "label": 1}\n{"text": "d"}\n{"te',
        Code.DATA_ROW,
        "t.jsonl:2: column `label` is in the first row but not here; missing in 2 of the 4 rows read",
        NULLS,
    ),
    (
        "a new column",
        '{"text": "a"}\n{"text": "b", "note": 1}\n{"text": "c"}\n',
        Code.DATA_ROW,
        "t.jsonl:2: column `note` is here but not in the first row; present in 1 of the 3 rows read",
        NULLS,
    ),
    (
        "a misspelt column",
        '{"text": "a"}\n{"txt": "b"}\n',
        Code.DATA_ROW,
        "t.jsonl:2: column `text` is in the first row but not here; missing in 1 of the 2 rows read",
        "is `txt` meant to be `text`?",
    ),
]

NO_LIST = "keep only the list of rows; a file with one object on each line is named .jsonl"
JSON = [
    ("an empty list", " [ ]\n", Code.DATA_EMPTY, "t.json has 0 rows; at least 1 is needed", None),
    ("white space", " \n", Code.DATA_EMPTY, "t.json has 0 rows; at least 1 is needed", None),
    (
        "a list inside an object",
        '{"data": [{"a": 1}]}',
        Code.DATA_FORMAT,
        "t.json: expected a list of objects, found an object",
        NO_LIST,
    ),
    ("a text", '"a"', Code.DATA_FORMAT, "t.json: expected a list of objects, found text", NO_LIST),
    ("a list of numbers", "[1]", Code.DATA_ROW, "t.json: row 1: expected an object, found a number", None),
    ("a comma too many", '[{"a": 1},]', Code.DATA_ROW, "t.json: row 2: expected an object, found `]`", None),
    (
        "a comma too few",
        '[{"a": 1} {"a": 2}]',
        Code.DATA_FORMAT,
        "t.json: expected `,` or `]` behind a row, found an object",
        None,
    ),
    (
        "a list cut behind a row",
        '[{"a": 1}',
        Code.DATA_FORMAT,
        "t.json: expected `,` or `]` behind a row, but the file ends",
        INTERRUPTED,
    ),
    (
        "a list cut behind a comma",
        '[{"a": 1},\n',
        Code.DATA_ROW,
        "t.json: row 2: the row is cut off in the middle (no object behind the comma or bracket)",
        INTERRUPTED,
    ),
    (
        "a list cut in a row",
        '[{"a": 1}, {"a',
        Code.DATA_ROW,
        "t.json: row 2: the row is cut off in the middle (no closing `}`)",
        INTERRUPTED,
    ),
    ("text behind the list", '[{"a": 1}] x', Code.DATA_FORMAT, "t.json: there is more text behind the list", None),
    ("a value that is none", '[{"a": x}]', Code.DATA_ROW, "t.json: row 1: not JSON: expecting value", None),
    ("a duplicate key", '[{"a": 1, "a": 2}]', Code.DATA_ROW, "t.json: row 1: key `a` appears twice in one row", None),
    ("NaN", '[{"a": 1}, {"a": NaN}]', Code.DATA_ROW, f"t.json: row 2: NaN is not JSON; {NOT_A_NUMBER}", None),
    (
        "Latin-1 far from the start",
        b"[\n" + b'{"a": 1},\n' * 10_000 + b'{"a": "\xe9"}]',
        Code.DATA_FORMAT,
        "t.json:10002: byte 0xE9 is not UTF-8",
        "convert it, for instance: iconv -f latin1 -t utf-8 t.json",
    ),
    (
        "a giant row",
        '[{"a": "' + "x" * 16 * MIB + '"}]',
        Code.DATA_ROW,
        "t.json: row 1: the row is longer than 16 MiB",
        None,
    ),
    (
        "a giant row without end",
        '[{"a": "' + "x" * 40 * MIB,
        Code.DATA_ROW,
        "t.json: row 1: the row is longer than 16 MiB",
        None,
    ),
    (
        "a column of two kinds",
        '[{"a": 1}, {"a": "x"}]',
        Code.DATA_ROW,
        "t.json: row 2: `a` is text here but a number at t.json: row 1",
        None,
    ),
]

CSV = [
    ("a file of no bytes", "", Code.DATA_EMPTY, "t.csv has 0 rows; at least 1 is needed", None),
    ("a header only", "text,label\n", Code.DATA_EMPTY, "t.csv has 0 rows; at least 1 is needed", None),
    (
        "a row of too many fields",
        'text,label\n"a\nb",c\nd,e,f\n',
        Code.DATA_ROW,
        "t.csv:4: 3 fields, but the header has 2",
        "is a separator inside a text that is not quoted?",
    ),
    (
        "a row of too few fields",
        "text,label\na\n",
        Code.DATA_ROW,
        "t.csv:2: 1 field, but the header has 2",
        "is a line break inside a text that is not quoted?",
    ),
    ("a column named twice", "text,text\na,b\n", Code.DATA_FORMAT, "t.csv:1: two columns have the name `text`", None),
    (
        "a column without a name",
        ",text\n0,a\n",
        Code.DATA_FORMAT,
        "t.csv:1: column 1 has no name",
        "give it a name; pandas writes such a column unless told `index=False`",
    ),
    (
        "a row cut in a text",
        'text\na\n"b\nc',
        Code.DATA_ROW,
        "t.csv:3: the row is cut off in the middle (no closing quote)",
        INTERRUPTED,
    ),
    ("text behind a quote", 'text\n"a"b\n', Code.DATA_ROW, "t.csv:2: not CSV: ',' expected after '\"'", None),
    ("a NUL", "text\na\0b\n", Code.DATA_FORMAT, "t.csv:2:2: a NUL character is not text", None),
    (
        "Latin-1",
        b"text\ncaf\xe9\n",
        Code.DATA_FORMAT,
        "t.csv:2:4: byte 0xE9 is not UTF-8",
        "convert it, for instance: iconv -f latin1 -t utf-8 t.csv",
    ),
    (
        "lines that end with a carriage return",
        "text,label\ra,b\r",
        Code.DATA_ROW,
        "t.csv:1: a carriage return inside a line",
        "lines end with a line feed; a text that holds a line break stands in quotes",
    ),
    ("a giant row", "text\n" + "x" * (16 * MIB + 1), Code.DATA_ROW, "t.csv:2: the row is longer than 16 MiB", None),
    (
        "a quote that never closes",
        'text\n"' + "x\n" * 9 * MIB,
        Code.DATA_ROW,
        "t.csv:2: a field is longer than 16 MiB",
        "is a quote not closed?",
    ),
    (
        "a spreadsheet under another name",
        b"PK\x03\x04",
        Code.DATA_FORMAT,
        "t.csv is a zip archive or a spreadsheet",
        "unpack it, or save the sheet as .csv",
    ),
]

FAULTS = [
    pytest.param(name, *rest, id=f"{name} - {what}")
    for name, table in (("t.jsonl", JSONL), ("t.json", JSON), ("t.csv", CSV))
    for what, *rest in table
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "content", "code", "message", "hint"), FAULTS)
def test_a_fault_is_named_with_its_place(
    name: str, content: str | bytes, code: Code, message: str, hint: str | None
) -> None:
    fault = fault_of(lambda: read((name, content)))
    assert (fault.message, fault.hint, fault.code, fault.exit) == (message, hint, code, Exit.BAD_INPUT)


NAMES = [
    ("trian.jsonl", Code.DATA_MISSING, "no such file: trian.jsonl", "did you mean train.jsonl?"),
    ("folder/tset.csv", Code.DATA_MISSING, "no such file: folder/tset.csv", "did you mean folder/test.csv?"),
    ("train.jsonl/x", Code.DATA_MISSING, "no such file: train.jsonl/x", None),
    ("nowhere/train.jsonl", Code.DATA_MISSING, "no such file: nowhere/train.jsonl", None),
    ("a\0b.jsonl", Code.DATA_MISSING, "no such file: a\0b.jsonl", None),
    ("loop.jsonl", Code.DATA_MISSING, "loop.jsonl cannot be read: Too many levels of symbolic links", None),
    ("folder/", Code.DATA_FORMAT, "folder/ is a folder; name its files", "for instance folder/test.csv"),
    ("empty", Code.DATA_FORMAT, "empty is a folder; name its files", None),
    ("pipe.jsonl", Code.DATA_FORMAT, "pipe.jsonl is a pipe or a device; only regular files are read", None),
    (
        "https://example.org/train.jsonl",
        Code.DATA_FORMAT,
        "https://example.org/train.jsonl is an address, not a file",
        "download it first, or name a data set on the hub with `hub` and `split`",
    ),
    ("t.PKL", Code.DATA_FORMAT, "t.PKL is refused: a pickle runs code when it is read", "write it as .jsonl"),
    ("t.tar.gz", Code.DATA_FORMAT, "t.tar.gz is an archive", "unpack it first"),
    ("t.xlsx", Code.DATA_FORMAT, "t.xlsx is a spreadsheet", "save the sheet as .csv"),
    ("t.txt", Code.DATA_FORMAT, "t.txt does not end in one of .jsonl .ndjson .json .csv .tsv .parquet", None),
    ("t", Code.DATA_FORMAT, "t does not end in one of .jsonl .ndjson .json .csv .tsv .parquet", None),
]


@pytest.mark.parametrize(("name", "code", "message", "hint"), NAMES)
def test_a_name_that_is_no_data_file_is_refused(
    place: Path, name: str, code: Code, message: str, hint: str | None
) -> None:
    for folder in ("folder", "empty"):
        Path(folder).mkdir()
    for file in ("train.jsonl", "folder/test.csv", "t.PKL", "t.tar.gz", "t.xlsx", "t.txt", "t"):
        written(file, "x\n1\n")
    Path("loop.jsonl").symlink_to("loop.jsonl")
    os.mkfifo("pipe.jsonl")
    fault = fault_of(lambda: list(read_rows("train", [(name, place / name)])))
    assert (fault.message, fault.hint, fault.code, fault.exit) == (message, hint, code, Exit.BAD_INPUT)


# ------------------------------------------------------------------------------------------------------ what is right


@pytest.mark.usefixtures("place")
def test_rows_are_numbered_over_all_files_and_placed_by_line() -> None:
    rows = read(
        ("a.jsonl", '\n{"text": "a", "label": "x"}\n\n{"label": "y", "text": "b"}\n'),
        ("b.json", '[{"text": "c", "label": "z"}]'),
        ("c.csv", 'text,label\n"d\ne",x\n\nf,y\n'),
        ("d.tsv", "label\ttext\nx\tg, h\n"),
    )
    assert [(row.id, row.place) for row in rows] == [
        ("train:1", "a.jsonl:2"),
        ("train:2", "a.jsonl:4"),
        ("train:3", "b.json: row 1"),
        ("train:4", "c.csv:2"),
        ("train:5", "c.csv:5"),
        ("train:6", "d.tsv:2"),
    ]
    assert [row.fields["text"] for row in rows] == ["a", "b", "c", "d\ne", "f", "g, h"]


@pytest.mark.usefixtures("place")
def test_columns_are_compared_over_all_files() -> None:
    fault = fault_of(lambda: read(("a.jsonl", '{"text": "a"}'), ("b.csv", "txt\nb\nc\n")))
    counts = "missing in 2 of the 3 rows read"
    assert fault.message == f"b.csv:2: column `text` is in the first row but not here; {counts}"


@pytest.mark.usefixtures("place")
def test_kinds_are_compared_over_all_files() -> None:
    fault = fault_of(lambda: read(("a.csv", "n\n1\n"), ("b.jsonl", '{"n": 1}')))
    assert fault.message == "b.jsonl:1: `n` is a number here but text at a.csv:2"


def test_the_ending_may_be_the_links_or_its_targets(place: Path) -> None:
    file = place / "data.jsonl"
    file.write_text('{"a": 1}\n')
    bare = file.with_suffix("").absolute()
    bare.write_text("a\n1\n")
    rows = read_rows("test", [("owner/name", file)])
    assert [(row.id, row.place) for row in rows] == [("test:1", "owner/name:1")]
    assert [row.place for row in read_rows("test", [("link.csv", bare)])] == ["link.csv:2"]


@pytest.mark.usefixtures("place")
def test_csv_takes_a_field_up_to_the_limit_of_a_row() -> None:
    assert len(read(("t.csv", "text\n" + "x" * 16 * MIB + "\n"))[0].fields["text"]) == 16 * MIB


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_jsonl_takes_a_row_up_to_the_limit(end: str) -> None:
    frame = '{"a": ""}'
    text = "x" * (16 * MIB - len(frame))
    assert read(("t.jsonl", f'{{"a": "{text}"}}{end}'))[0].fields == {"a": text}


@pytest.mark.usefixtures("place")
def test_json_may_be_cut_into_chunks_anywhere() -> None:
    rows = [{"text": "é😀\\", "n": -1.5e3, "l": [True, None]}, {"text": "ü", "n": 2, "l": []}]
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    for before in range(len(text.encode()) + 1):
        content = " " * (2**16 - before) + text
        assert [row.fields for row in read(("t.json", content))] == rows


@pytest.mark.usefixtures("place")
def test_json_takes_rows_that_are_longer_than_a_chunk() -> None:
    rows = [{"text": "é" * size} for size in (10, 300_000, 2_000_000, 20)]
    assert [row.fields for row in read(("t.json", json.dumps(rows, ensure_ascii=False)))] == rows


TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\u2028\u2029", "\x85\x0b\x0c", "\ufeff", '"', "\r"]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "number": st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "list": st.lists(TEXT | st.integers(), max_size=3),
    "object": st.dictionaries(TEXT, TEXT | st.lists(st.booleans(), max_size=2), max_size=3),
}
COLUMNS = st.dictionaries(TEXT, st.sampled_from(sorted(VALUES)), min_size=1, max_size=4)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(COLUMNS)
    row = st.fixed_dictionaries({column: st.none() | VALUES[kind] for column, kind in kinds.items()})
    return draw(st.lists(row, min_size=1, max_size=6))


@settings(derandomize=True, deadline=None)
@given(tables(), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_rows_written_as_jsonl_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ascii: bool, bom: bool, end: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    text = end.join(json.dumps(row, ensure_ascii=ascii) for row in rows)
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))
    assert [row.fields for row in read_rows("train", [("round.jsonl", path)])] == rows


@settings(derandomize=True, deadline=None)
@given(tables(), st.booleans(), st.booleans(), st.sampled_from([None, 2]))
def test_rows_written_as_json_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ascii: bool, bom: bool, indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    text = json.dumps(rows, ensure_ascii=ascii, indent=indent)
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))
    assert [row.fields for row in read_rows("train", [("round.json", path)])] == rows


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
HEADERS = st.lists(CELLS.filter(str.strip), min_size=1, max_size=4, unique=True)


@settings(derandomize=True, deadline=None)
@given(st.data(), HEADERS, st.sampled_from([(".csv", ","), (".tsv", "\t")]), st.sampled_from(["\n", "\r\n"]))
def test_rows_written_as_csv_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    header: list[str],
    format: tuple[str, str],
    end: str,
) -> None:
    ending, delimiter = format
    records = data.draw(st.lists(st.tuples(*[CELLS] * len(header)), min_size=1, max_size=6))
    file = io.StringIO(newline="")
    # quoted, because csv.writer leaves a lone carriage return bare when lines end with a line feed
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *records])
    path = tmp_path_factory.getbasetemp() / f"round{ending}"
    path.write_bytes(file.getvalue().encode("utf-8-sig"))
    rows = [row.fields for row in read_rows("train", [(path.name, path)])]
    assert rows == [dict(zip(header, record, strict=True)) for record in records]


# ------------------------------------------------------------------------------------------------------ streaming


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '{"a": "x"}\n{"a": 1}\n'),
        ("t.json", '[{"a": "x"}, 1]'),
        ("t.csv", "a\nx\ny,z\n"),
    ],
)
def test_the_rows_before_a_fault_are_read(name: str, content: str) -> None:
    rows = read_rows("train", [(name, written(name, content)), ("missing.jsonl", Path("missing.jsonl"))])
    assert next(rows).fields == {"a": "x"}
    with pytest.raises(RowError):
        next(rows)


def test_nothing_is_opened_before_the_first_row_is_asked_for() -> None:
    rows = read_rows("train", [("missing.jsonl", Path("missing.jsonl"))])
    assert fault_of(lambda: next(rows)).code == Code.DATA_MISSING


def peak_of(rows: Iterator[Row]) -> tuple[int, int]:
    """How many rows there were, and the most bytes that reading them held."""
    tracemalloc.start()
    try:
        return sum(1 for _ in rows), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "first", "row", "last"),
    [
        ("t.jsonl", "", '{"a": "%s"}\n', ""),
        ("t.json", "[", '{"a": "%s"},', '{"a": "x"}]'),
        ("t.csv", "a\n", "%s\n", ""),
    ],
)
def test_memory_does_not_grow_with_the_file(name: str, first: str, row: str, last: str) -> None:
    path = written(name, first + row % ("x" * 2000) * 10_000 + last)
    count, peak = peak_of(read_rows("train", [(name, path)]))
    assert count >= 10_000
    assert peak < MIB < path.stat().st_size


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_a_line_without_end_is_not_read_to_its_end(name: str) -> None:
    with Path(name).open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    fault = fault_of(lambda: list(read_rows("train", [(name, Path(name))])))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fault.message == f"{name}:1: the row is longer than 16 MiB"
    assert peak < 64 * MIB


def test_reading_rows_imports_nothing_heavy() -> None:
    program = (
        "import sys, customspec.inputs.rows, customspec.inputs.splitting\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert "customspec" in printed.split()
    assert not {"torch", "transformers", "datasets", "pyarrow", "sklearn", "numpy", "pandas"} & set(printed.split())


# ------------------------------------------------------------------------------------------------------ parquet


def parquet(name: str, columns: dict[str, list[Any]], **options: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    path = Path(name)
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), path, **options)
    return path


@pytest.mark.usefixtures("place")
def test_parquet_comes_back_as_plain_data() -> None:
    columns = {
        "text": ["a", None],
        "n": [1, 2],
        "x": [0.5, None],
        "flag": [True, False],
        "turns": [[{"role": "user", "content": "hi"}], []],
        "day": [date(2024, 2, 29), None],
        "price": [Decimal("1.50"), Decimal("2.00")],
    }
    rows = list(read_rows("train", [("t.parquet", parquet("t.parquet", columns))]))
    assert [(row.id, row.place) for row in rows] == [("train:1", "t.parquet: row 1"), ("train:2", "t.parquet: row 2")]
    first, second = (row.fields for row in rows)
    assert first == {
        "text": "a",
        "n": 1,
        "x": 0.5,
        "flag": True,
        "turns": [{"role": "user", "content": "hi"}],
        "day": "2024-02-29",
        "price": "1.50",
    }
    assert second == {"text": None, "n": 2, "x": None, "flag": False, "turns": [], "day": None, "price": "2.00"}


@pytest.mark.usefixtures("place")
def test_parquet_of_many_row_groups_is_read_in_order() -> None:
    path = parquet("t.parquet", {"n": list(range(1000))}, row_group_size=300)
    assert [row.fields["n"] for row in read_rows("train", [("t.parquet", path)])] == list(range(1000))


PARQUETS = [
    (
        {"a": [1.0, float("nan")]},
        Code.DATA_ROW,
        "t.parquet: row 2: `a` is nan, which is not a finite number",
        NOT_A_NUMBER,
    ),
    (
        {"a": [[float("inf")]]},
        Code.DATA_ROW,
        "t.parquet: row 1: `a` is inf, which is not a finite number",
        NOT_A_NUMBER,
    ),
    (
        {"picture": [b"\x89PNG"]},
        Code.DATA_ROW,
        "t.parquet: row 1: `picture` holds bytes, not text",
        "write the columns that the prompt needs into a file of their own",
    ),
    ({"a": []}, Code.DATA_EMPTY, "t.parquet has 0 rows; at least 1 is needed", None),
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("columns", "code", "message", "hint"), PARQUETS)
def test_what_parquet_can_hold_and_a_prompt_cannot_show_is_refused(
    columns: dict[str, list[Any]], code: Code, message: str, hint: str | None
) -> None:
    path = parquet("t.parquet", columns)
    fault = fault_of(lambda: list(read_rows("train", [("t.parquet", path)])))
    assert (fault.message, fault.hint, fault.code) == (message, hint, code)


@pytest.mark.usefixtures("place")
def test_two_parquet_columns_of_one_name_are_refused() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table([[1], [2]], names=["a", "a"])
    pytest.importorskip("pyarrow.parquet").write_table(table, "t.parquet")
    fault = fault_of(lambda: list(read_rows("train", [("t.parquet", Path("t.parquet"))])))
    assert fault.message == "t.parquet: two columns have the name `a`"


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_parquet_file_that_is_cut_off_is_refused(kept: float) -> None:
    whole = parquet("t.parquet", {"a": ["x" * 100] * 100}).read_bytes()
    fault = fault_of(lambda: read(("t.parquet", whole[: int(len(whole) * kept)])))
    assert fault.code == Code.DATA_FORMAT
    assert fault.message.startswith("t.parquet cannot be read as parquet: Parquet magic bytes not found in footer")


@pytest.mark.usefixtures("place")
def test_a_parquet_file_of_no_bytes_has_no_rows() -> None:
    assert fault_of(lambda: read(("t.parquet", b""))).code == Code.DATA_EMPTY


@pytest.mark.usefixtures("place")
def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    fault = fault_of(lambda: read(("t.parquet", b"PAR1")))
    assert fault.message.startswith("t.parquet needs pyarrow: ")
    assert (fault.code, fault.exit) == (Code.EXTRA_MISSING, Exit.ENVIRONMENT)
    assert fault.hint == "pip install 'customspec[parquet]'"


# ------------------------------------------------------------------------------------------------------ the hub


def test_the_hub_without_datasets_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    fault = fault_of(lambda: list(read_hub("train", "owner/name", split_name="train")))
    assert fault.message.startswith("owner/name needs datasets: ")
    assert (fault.code, fault.exit) == (Code.EXTRA_MISSING, Exit.ENVIRONMENT)
    assert fault.hint == "pip install 'customspec[hub]'"


HUB = """
import json, sys
from customspec.inputs.rows import RowError, read_hub
try:
    rows = [(row.id, row.place, row.fields) for row in read_hub("train", *json.loads(sys.argv[1]))]
    print(json.dumps(rows))
except RowError as fault:
    print(json.dumps([fault.code, fault.message]))
"""


def offline_hub(place: Path, *request: str | None) -> Any:
    """What a process of its own, told to stay offline, reads from the folder `owner/name` in place of the hub."""
    pytest.importorskip("datasets")
    folder = place / "owner" / "name"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text('{"text": "a", "n": 1}\n{"text": "b", "n": null}\n{"text": "c", "n": 3}\n')
    environment = {
        **os.environ,
        "HF_HOME": str(place / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(sys.modules["customspec"].__path__[0]).parent),
    }
    program = [sys.executable, "-c", HUB, json.dumps(request)]
    done = subprocess.run(program, cwd=place, env=environment, capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def test_a_hub_data_set_is_read_row_by_row(tmp_path: Path) -> None:
    assert offline_hub(tmp_path, "owner/name", None, None, "train[:2]") == [
        ["train:1", "owner/name: row 1", {"text": "a", "n": 1}],
        ["train:2", "owner/name: row 2", {"text": "b", "n": None}],
    ]


def test_a_hub_data_set_without_rows_is_refused(tmp_path: Path) -> None:
    printed = offline_hub(tmp_path, "owner/name", None, None, "train[:0]")
    assert printed == [Code.DATA_EMPTY, "owner/name has 0 rows; at least 1 is needed"]


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (("owner/other", None, None, "train"), "Couldn't reach 'owner/other' on the Hub (OfflineModeIsEnabled)"),
        (("owner/name", None, "german", "train"), "BuilderConfig 'german' not found. Available: ['default']"),
        (("owner/name", None, None, "dev"), "Unknown split \"dev\". Should be one of ['train']."),
    ],
)
def test_what_the_hub_does_not_give_is_named_with_the_cause(
    tmp_path: Path, request_: tuple[str | None, ...], cause: str
) -> None:
    hub = request_[0]
    assert offline_hub(tmp_path, *request_) == [Code.DATA_MISSING, f"cannot get {hub} from the hub: {cause}"]
