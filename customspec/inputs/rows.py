"""The rows of a split: from files or from the hub, streamed, with the same columns of the same kinds in every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path, PurePath
from stat import S_ISDIR, S_ISREG
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from customspec.errors import Code
from customspec.inputs.columnar import read_parquet, read_repository
from customspec.inputs.formats import Record, RowError, read_csv, read_json, read_jsonl
from customspec.inputs.paths import beside
from customspec.inputs.strict_json import quote
from customspec.prompts import Row
from customspec.suggest import closest

__all__ = ["RowError", "read_hub", "read_rows"]

_Reader = Callable[[str, BinaryIO], Iterator[Record]]

_READERS: Final[Mapping[str, _Reader]] = MappingProxyType(
    {
        ".jsonl": read_jsonl,
        ".ndjson": read_jsonl,
        ".json": read_json,
        ".csv": read_csv,
        ".tsv": partial(read_csv, delimiter="\t"),
        ".parquet": read_parquet,
    }
)
_UNREAD: Final = (  # endings, what such a file is, and what to do
    (".pkl .pickle .joblib .pt .pth .npy .npz", "refused: a pickle runs code when it is read", "write it as .jsonl"),
    (".gz .zip .bz2 .xz .zst .7z .tar .tgz", "an archive", "unpack it first"),
    (".xlsx .xls .ods", "a spreadsheet", "save the sheet as .csv"),
)
_HEADS: Final = (  # how a file begins that is not what its ending says
    (b"version https://git-lfs.github.com/", "a Git LFS pointer instead of the data", "run `git lfs pull`"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "unpack it, or save the sheet as .csv"),
    (b"\xff\xfe\0\0", "UTF-32 text", "convert it: iconv -f utf-32 -t utf-8"),
    (b"\0\0\xfe\xff", "UTF-32 text", "convert it: iconv -f utf-32 -t utf-8"),
    (b"\xff\xfe", "UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
)
_ROWS: Final = "add rows to it, or name another file"
_OPEN: Final = "check that it is a file that you may open: ls -l"
_A_FILE: Final = "save its rows in a file, and name that"
_ALIKE: Final = "write the whole column as text: what stands in quotes is text"
_ONE_KIND: Final = "write the whole column in one of the two ways, with null where there is no value"
_UNEVEN: Final = "give every row the same columns, with null where there is no value"


def read_rows(split: str, paths: Sequence[tuple[str, Path]]) -> Iterator[Row]:
    """The rows of a split's files, one after another: `paths` are names, as the spec has them, and where they lie.

    Row ids count from 1 over all files. Raises RowError, while it is iterated, at the first thing that is wrong.
    """
    return _uniform(split, chain.from_iterable(_records(name, path) for name, path in paths))


def read_hub(
    split: str, hub: str, revision: str | None = None, subset: str | None = None, split_name: str | None = None
) -> Iterator[Row]:
    """The rows of a data set on the hub, or in its local cache. Raises RowError when it cannot be had or read."""
    return _uniform(split, read_repository(hub, revision, subset, split_name))


def _records(name: str, path: Path) -> Iterator[Record]:
    _check_source(name, path)
    reader = _reader(name, path)
    try:
        with path.open("rb") as stream:
            _check_head(name, stream)
            yield from _some(name, reader(name, stream))
    except OSError as error:
        raise RowError(Code.DATA_MISSING, f"{name} cannot be read: {error.strerror}", hint=_OPEN) from error


def _some(name: str, records: Iterator[Record]) -> Iterator[Record]:
    first = next(records, None)
    if first is None:
        raise _empty(name)
    yield first
    yield from records


def _empty(name: str) -> RowError:
    return RowError(Code.DATA_EMPTY, f"{name} has 0 rows; at least 1 is needed", hint=_ROWS)


def _check_source(name: str, path: Path) -> None:
    if "://" in name:
        hint = "download it first, or name a data set on the hub with `hub` and `split`"
        raise RowError(Code.DATA_FORMAT, f"{name} is an address, not a file", hint=hint)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a name that no file can have
        raise RowError(Code.DATA_MISSING, f"no such file: {name}", hint=_near(name, path)) from error
    except OSError as error:
        raise RowError(Code.DATA_MISSING, f"{name} cannot be read: {error.strerror}", hint=_OPEN) from error
    if S_ISDIR(mode):
        raise RowError(Code.DATA_FORMAT, f"{name} is a folder; name its files", hint=_files_in(name, path))
    if not S_ISREG(mode):
        raise RowError(Code.DATA_FORMAT, f"{name} is a pipe or a device; only regular files are read", hint=_A_FILE)


def _near(name: str, path: Path) -> str:
    if any(one in name for one in "\t\n\r\b\f\v\a"):
        return "between double quotes `\\` begins an escape: write `/`, or use single quotes"
    if any(one in name for one in "*?["):
        return "patterns are not expanded; list the files"
    if name.startswith("~"):
        return "`~` is not expanded; a path is relative to the spec"
    return beside(name, path, "files", lambda one: _ending(one.name) in _READERS)


def _files_in(name: str, folder: Path) -> str:
    files = sorted(entry.name for entry in folder.iterdir() if _ending(entry.name) in _READERS)
    return f"for instance {PurePath(name) / files[0]}" if files else "it holds none that are read; name another"


def _ending(name: str) -> str:
    return PurePath(name).suffix.lower()


def _reader(name: str, path: Path) -> _Reader:
    for ending in (_ending(path.name), _ending(name)):  # a link's name may say more than its target, or less
        if ending in _READERS:
            return _READERS[ending]
    for endings, what, hint in _UNREAD:
        if _ending(name) in endings.split():
            raise RowError(Code.DATA_FORMAT, f"{name} is {what}", hint=hint)
    hint = f'write one object on each line, {{"COLUMN": …}}, and name the file {PurePath(name).with_suffix(".jsonl")}'
    raise RowError(Code.DATA_FORMAT, f"{name} does not end in one of {' '.join(_READERS)}", hint=hint)


def _check_head(name: str, stream: BinaryIO) -> None:
    head = stream.read(64)
    stream.seek(0)
    if not head:
        raise _empty(name)
    for start, what, hint in _HEADS:
        if head.startswith(start):
            raise RowError(Code.DATA_FORMAT, f"{name} is {what}", hint=hint)


def _uniform(split: str, records: Iterator[Record]) -> Iterator[Row]:
    columns: dict[str, None] = {}  # of the first row, in its order
    kinds: dict[str, tuple[str, str]] = {}  # of each column: the kind of its values, and where that was first seen
    for number, (place, fields) in enumerate(records, 1):
        if number == 1:
            columns = dict.fromkeys(fields)
        if fields.keys() != columns.keys():
            raise _other_columns(columns, place, fields, number, records)
        _check_kinds(place, fields, kinds)
        yield Row(f"{split}:{number}", fields, place)


def _other_columns(
    columns: Mapping[str, None], place: str, fields: Mapping[str, Any], number: int, rest: Iterator[Record]
) -> RowError:
    missing = [column for column in columns if column not in fields]
    new = [column for column in fields if column not in columns]
    column = (missing or new)[0]
    alike, others = _tally(rest, column, present=not missing)
    where = "in the first row but not here; missing" if missing else "here but not in the first row; present"
    message = f"{place}: column {quote(column)} is {where} in {alike + 1} of the {number + others} rows read"
    near = closest(column, new, {}) if missing else None
    hint = f"is {quote(near)} meant to be {quote(column)}?" if near else _UNEVEN
    return RowError(Code.DATA_ROW, message, hint=hint)


def _tally(records: Iterator[Record], column: str, *, present: bool) -> tuple[int, int]:
    """Of the records that can still be read: how many have the column (or, with `present` false, lack it), and how many
    there are."""
    alike = total = 0
    with suppress(RowError):
        for _, fields in records:
            alike += (column in fields) == present
            total += 1
    return alike, total


def _check_kinds(place: str, fields: Mapping[str, Any], kinds: dict[str, tuple[str, str]]) -> None:
    for column, value in fields.items():
        if value is None:
            continue
        kind = _kind(value)
        before, at = kinds.setdefault(column, (kind, place))
        if kind != before:
            message = f"{place}: {quote(column)} is {kind} here but {before} at {at}"
            raise RowError(Code.DATA_ROW, message, hint=_ALIKE if "text" in {kind, before} else _ONE_KIND)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
