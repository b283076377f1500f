"""The readers of columns: parquet files, and data sets on the hub. pyarrow and `datasets` come when they are needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from io import SEEK_END
from typing import Any, BinaryIO, Final

from customspec.errors import Code, Exit, first_line
from customspec.inputs.formats import MAX_ROW_BYTES, SHORTER, TOO_LONG, Record, RowError, check_columns
from customspec.inputs.strict_json import quote

_BATCH: Final = 256  # rows in memory at once, at most
_BATCH_BYTES: Final = 32 * 2**20  # about as many as they have, unless one row has more
_MOST_GROWTH: Final = 100  # bytes of rows for each byte of a file, beyond the first
_MOST_ANYWAY: Final = 256 * 2**20


def read_parquet(name: str, stream: BinaryIO) -> Iterator[Record]:
    """The rows of a parquet file, as plain data. Raises RowError.

    A file says in few bytes that a text stands in each of many rows: texts stay as its dictionaries have them until it
    is known how long the rows become.
    """
    parquet = _extra("pyarrow.parquet", "parquet", needed_by=name)
    try:
        most = _MOST_ANYWAY + _MOST_GROWTH * stream.seek(0, SEEK_END)
        metadata = parquet.read_metadata(stream)
        file = parquet.ParquetFile(stream, metadata=metadata, read_dictionary=_texts(metadata.schema))
        yield from _plain_rows(name, file.iter_batches(_batch_rows(metadata)), most)
    except RowError:
        raise
    except Exception as error:  # pyarrow's errors have no common root
        hint = "copy it again, or write its rows as .jsonl"
        raise RowError(Code.DATA_FORMAT, f"{name} cannot be read as parquet: {first_line(error)}", hint=hint) from error


def _texts(schema: Any) -> list[str]:
    """The columns whose values are of any length, inner ones by their paths."""
    columns = [schema.column(place) for place in range(len(schema))]
    numbers = ("DECIMAL", "INT")
    return [one.path for one in columns if one.physical_type == "BYTE_ARRAY" and one.logical_type.type not in numbers]


def _batch_rows(metadata: Any) -> int:
    """How many rows to read at once, by what the file says of its groups."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
    return int(min(_BATCH, max(1, _BATCH_BYTES // max(1, widest))))


def read_repository(hub: str, revision: str | None, subset: str | None, split: str | None) -> Iterator[Record]:
    """The rows of a data set on the hub, as plain data. Raises RowError."""
    datasets = _extra("datasets", "hub", needed_by=hub)
    try:
        data = datasets.load_dataset(hub, name=subset, revision=revision, split=split)
    except Exception as error:  # whatever keeps it away: no network, no such name, a broken file in it
        broken = isinstance(error, datasets.exceptions.DatasetGenerationError)  # says nothing itself
        cause = first_line((error.__cause__ if broken else None) or error)
        hint = "check the name, its `subset` and `split`, and the network, or HF_HUB_OFFLINE"
        raise RowError(Code.DATA_MISSING, f"cannot get {hub} from the hub: {cause}", hint=hint) from error
    yield from _plain_rows(hub, data.with_format("arrow").iter(batch_size=_BATCH))


def check_fetches(hub: str) -> None:
    """Raises RowError unless what fetches data sets is installed; nothing is imported."""
    if find_spec("datasets") is None:
        raise _missing("datasets", "hub", hub, "it is not installed")


def _extra(module: str, name: str, *, needed_by: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module.partition(".")[0], name, needed_by, first_line(error)) from error


def _missing(package: str, extra: str, needed_by: str, cause: str) -> RowError:
    hint = f"pip install 'customspec[{extra}]'"
    message = f"{needed_by} needs {package}: {cause}"
    return RowError(Code.EXTRA_MISSING, message, hint=hint, exit=Exit.ENVIRONMENT)


def _plain_rows(name: str, batches: Iterable[Any], most: float = math.inf) -> Iterator[Record]:
    """The rows of Arrow batches; refused once they have more than `most` bytes in all."""
    number, read = 1, 0
    for batch in batches:
        check_columns(name, batch.schema.names)
        for part, size in _in_parts(batch):
            read += size
            if part.num_rows == 1 and size > MAX_ROW_BYTES:
                raise RowError(Code.DATA_ROW, f"{name}: row {number}: {TOO_LONG}", hint=SHORTER)
            if read > most:
                message = f"{name}: row {number}: the rows so far have {read >> 20} MiB, far more than the file"
                raise RowError(Code.DATA_FORMAT, message, hint="write the rows as .jsonl if they are meant")
            for index, row in enumerate(part.to_pylist(), number):
                place = f"{name}: row {index}"
                yield place, {column: _plain(place, column, value) for column, value in row.items()}
            number += part.num_rows


def _in_parts(batch: Any) -> Iterator[tuple[Any, int]]:
    """The batch in parts that may become plain data at once, with about the bytes that each then has."""
    size = sum(_bytes(column) for column in batch.columns)
    if size <= MAX_ROW_BYTES or batch.num_rows <= 1:
        yield batch, size
        return
    half = batch.num_rows // 2
    yield from _in_parts(batch.slice(0, half))
    yield from _in_parts(batch.slice(half))


def _bytes(array: Any) -> int:
    """The bytes of an array's values, each counted as often as it stands there."""
    import pyarrow as arrow
    from pyarrow import compute

    kind = array.type
    if arrow.types.is_dictionary(kind):
        lengths = compute.binary_length(array.dictionary)
        return compute.sum(compute.take(lengths, array.indices)).as_py() or 0
    if arrow.types.is_struct(kind):
        return len(array) + sum(_bytes(field) for field in array.flatten())
    if arrow.types.is_nested(kind) and hasattr(array, "flatten"):
        return 8 * len(array) + _bytes(array.flatten())
    if arrow.types.is_large_string(kind) or arrow.types.is_string(kind) or arrow.types.is_binary(kind):
        return compute.sum(compute.binary_length(array)).as_py() or 0
    return int(array.nbytes)


def _plain(place: str, column: str, value: Any) -> Any:
    """Numbers, text, lists and objects as they are; dates and decimals as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return _finite(place, column, value)
        case dict():
            return {key: _plain(place, column, inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(place, column, inner) for inner in value]
        case bytes():
            hint = "write the columns that the prompt needs into a file of their own"
            raise RowError(Code.DATA_ROW, f"{place}: {quote(column)} holds bytes, not text", hint=hint)
        case _:
            return str(value)


def _finite(place: str, column: str, value: float) -> float:
    if not math.isfinite(value):
        hint = "use null or drop the row"
        raise RowError(Code.DATA_ROW, f"{place}: {quote(column)} is {value}, which is not a finite number", hint=hint)
    return value
