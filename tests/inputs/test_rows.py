from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from customspec.errors import Code, Exit
from customspec.inputs.rows import RowError, read_rows
from customspec.prompts import Row

MIB = 2**20


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(*files: tuple[str, str]) -> list[Row]:
    return list(read_rows("train", [(name, written(name, content)) for name, content in files]))


def sentence_of(fault: RowError) -> str:
    return f"{fault.code.value} {fault.message}{f' | {fault.hint}' if fault.hint else ''}"


# ---------------------------------------------------------------------------------------------------- names and files

UNKNOWN = "does not end in one of .jsonl .ndjson .json .csv .tsv .parquet"
AS_JSONL = 'write one object on each line, {"COLUMN": …}, and name the file t.jsonl'
MISTAKES = {
    "trian.jsonl": "CS401 no such file: trian.jsonl | did you mean train.jsonl?",
    "folder/tset.csv": "CS401 no such file: folder/tset.csv | did you mean folder/test.csv?",
    "train.jsonl/x": "CS401 no such file: train.jsonl/x | there is no folder train.jsonl",
    "nowhere/train.jsonl": "CS401 no such file: nowhere/train.jsonl | there is no folder nowhere",
    "\0.csv": "CS401 no such file: \0.csv | files there: loop.jsonl, pipe.jsonl, train.jsonl",
    "loop.jsonl": "CS401 loop.jsonl cannot be read: Too many levels of symbolic links"
    " | check that it is a file that you may open: ls -l",
    "folder/": "CS403 folder/ is a folder; name its files | for instance folder/test.csv",
    "empty": "CS403 empty is a folder; name its files | it holds none that are read; name another",
    "pipe.jsonl": "CS403 pipe.jsonl is a pipe or a device; only regular files are read"
    " | save its rows in a file, and name that",
    "s3://b/train.jsonl": "CS403 s3://b/train.jsonl is an address, not a file"
    " | download it first, or name a data set on the hub with `hub` and `split`",
    "t.PKL": "CS403 t.PKL is refused: a pickle runs code when it is read | write it as .jsonl",
    "t.tar.gz": "CS403 t.tar.gz is an archive | unpack it first",
    "t.xlsx": "CS403 t.xlsx is a spreadsheet | save the sheet as .csv",
    "t.txt": f"CS403 t.txt {UNKNOWN} | {AS_JSONL}",
    "t": f"CS403 t {UNKNOWN} | {AS_JSONL}",
}


@pytest.mark.parametrize(("name", "expected"), MISTAKES.items())
def test_a_name_that_is_no_data_file_is_refused(place: Path, name: str, expected: str) -> None:
    for folder in ("folder", "empty"):
        Path(folder).mkdir()
    for file in ("train.jsonl", "folder/test.csv", "folder/notes.md", "t.PKL", "t.tar.gz", "t.xlsx", "t.txt", "t"):
        written(file, "x\n1\n")
    Path("loop.jsonl").symlink_to("loop.jsonl")
    os.mkfifo("pipe.jsonl")
    with pytest.raises(RowError) as caught:
        next(read_rows("train", [(name, place / name)]))
    assert sentence_of(caught.value) == expected
    assert caught.value.exit == Exit.BAD_INPUT


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "content", "code", "expected"),
    [
        ("t.jsonl", b"", "CS402", "has 0 rows; at least 1 is needed | add rows to it, or name another file"),
        ("t.json", b"[]", "CS402", "has 0 rows; at least 1 is needed | add rows to it, or name another file"),
        ("t.csv", b"text,label\n", "CS402", "has 0 rows; at least 1 is needed | add rows to it, or name another file"),
        ("t.parquet", b"", "CS402", "has 0 rows; at least 1 is needed | add rows to it, or name another file"),
        ("t.parquet", LFS, "CS403", "is a Git LFS pointer instead of the data | run `git lfs pull`"),
        ("t.jsonl", b"\x1f\x8b\x08", "CS403", "is compressed by gzip | unpack it first"),
        ("t.csv", b"PK\x03\x04", "CS403", "is a zip archive or a spreadsheet | unpack it, or save the sheet as .csv"),
        ("t.csv", "a\nb\n".encode("utf-32"), "CS403", "is UTF-32 text | convert it: iconv -f utf-32 -t utf-8"),
        ("t.csv", "a\nb\n".encode("utf-16"), "CS403", "is UTF-16 text | convert it: iconv -f utf-16 -t utf-8"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(name: str, content: bytes, code: str, expected: str) -> None:
    with pytest.raises(RowError) as caught:
        next(read_rows("train", [(name, written(name, content))]))
    assert sentence_of(caught.value) == f"{code} {name} {expected}"


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a regular file that cannot be read")
def test_a_file_that_cannot_be_read_is_told_with_the_cause() -> None:
    with pytest.raises(RowError, match=r"^data.csv cannot be read: Input/output error$"):
        next(read_rows("train", [("data.csv", Path("/proc/self/mem"))]))


def test_the_ending_may_be_the_files_or_the_names(place: Path) -> None:
    kept, blob = written("5d41.jsonl", '{"a": 1}\n'), written("blob", "a\n1\n")
    rows = read_rows("test", [("owner/name", kept)])
    assert [(row.id, row.place) for row in rows] == [("test:1", "owner/name:1")]
    assert [row.place for row in read_rows("test", [("link.csv", place / blob)])] == ["link.csv:2"]


# -------------------------------------------------------------------------------------------------- rows and columns


@pytest.mark.usefixtures("place")
def test_rows_are_numbered_over_all_files_and_placed_by_line() -> None:
    rows = read(
        ("a.jsonl", '\n{"text": "a", "label": "x"}\n\n{"label": "y", "text": "b"}\n'),
        ("b.json", '[{"text": "c", "label": "z"}]'),
        ("c.csv", 'text,label\n"d\ne",x\n\nf,y\n'),
        ("d.tsv", "label\ttext\nx\tg, h\n"),
        ("e.NDJSON", '{"text": "i", "label": "x"}'),
    )
    assert [(row.id, row.place, row.fields["text"]) for row in rows] == [
        ("train:1", "a.jsonl:2", "a"),
        ("train:2", "a.jsonl:4", "b"),
        ("train:3", "b.json: row 1", "c"),
        ("train:4", "c.csv:2", "d\ne"),
        ("train:5", "c.csv:5", "f"),
        ("train:6", "d.tsv:2", "g, h"),
        ("train:7", "e.NDJSON:1", "i"),
    ]


NULLS = "give every row the same columns, with null where there is no value"
AS_TEXT = "write the whole column as text: what stands in quotes is text"
ONE_KIND = "write the whole column in one of the two ways, with null where there is no value"
UNLIKE = {
    "a missing column, and what cannot be read behind it": (
        [("t.jsonl", '{"a": 1, "label": 1}\n{"a": 1}\n{"a": 1, "label": 1}\n{"a": 1}\n{"te')],
        f"CS404 t.jsonl:2: column `label` is in the first row but not here; missing in 2 of the 4 rows read | {NULLS}",
    ),
    "a new column": (
        [("t.jsonl", '{"a": 1}\n{"a": 1, "note": 1}\n{"a": 1}\n')],
        f"CS404 t.jsonl:2: column `note` is here but not in the first row; present in 1 of the 3 rows read | {NULLS}",
    ),
    "a misspelt column, in another file": (
        [("t.jsonl", '{"text": "a"}\n'), ("u.csv", "txt\nb\nc\n")],
        "CS404 u.csv:2: column `text` is in the first row but not here; missing in 2 of the 3 rows read"
        " | is `txt` meant to be `text`?",
    ),
    "text among numbers": (
        [("t.jsonl", '{"a": 1}\n\n{"a": "x"}\n')],
        f"CS404 t.jsonl:3: `a` is text here but a number at t.jsonl:1 | {AS_TEXT}",
    ),
    "a boolean among numbers, after null": (
        [("t.jsonl", '{"a": null}\n{"a": 1.5}\n{"a": 2}\n{"a": true}\n')],
        f"CS404 t.jsonl:4: `a` is a boolean here but a number at t.jsonl:2 | {ONE_KIND}",
    ),
    "a list among objects": (
        [("t.json", '[{"a": {}}, {"a": []}]')],
        f"CS404 t.json: row 2: `a` is a list here but an object at t.json: row 1 | {ONE_KIND}",
    ),
    "a number among the texts of another file": (
        [("t.csv", "a\n1\n"), ("u.jsonl", '{"a": 1}')],
        f"CS404 u.jsonl:1: `a` is a number here but text at t.csv:2 | {AS_TEXT}",
    ),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("files", "expected"), UNLIKE.values(), ids=UNLIKE)
def test_rows_that_are_not_alike_are_refused(files: list[tuple[str, str]], expected: str) -> None:
    with pytest.raises(RowError) as caught:
        read(*files)
    assert sentence_of(caught.value) == expected


# --------------------------------------------------------------------------------------------------------- streaming


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("name", "content"),
    [("t.jsonl", '{"a": "x"}\n{"a": 1}\n'), ("t.json", '[{"a": "x"}, 1]'), ("t.csv", "a\nx\ny,z\n")],
)
def test_the_rows_before_a_fault_are_read(name: str, content: str) -> None:
    rows = read_rows("train", [(name, written(name, content)), ("missing.jsonl", Path("missing.jsonl"))])
    assert next(rows).fields == {"a": "x"}
    with pytest.raises(RowError) as caught:
        next(rows)
    assert caught.value.code == Code.DATA_ROW


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
    path = written(name, first + row % ("x" * 2000) * 5_000 + last)
    tracemalloc.start()
    count = sum(1 for _ in read_rows("train", [(name, path)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count >= 5_000
    assert peak < MIB < path.stat().st_size / 9


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_a_line_without_end_is_not_read_to_its_end(name: str) -> None:
    with Path(name).open("wb") as file:
        file.truncate(2**34)  # bytes, none of them on the disk
    with pytest.raises(RowError, match=rf"^{name}:1: the row is longer than 16 MiB$"):
        next(read_rows("train", [(name, Path(name))]))


def test_reading_rows_imports_nothing_heavy() -> None:
    program = "import sys, customspec.inputs.rows, customspec.inputs.splitting; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert "customspec" in printed.split()
    assert not {"torch", "transformers", "datasets", "pyarrow", "sklearn", "numpy", "pandas"} & set(printed.split())
