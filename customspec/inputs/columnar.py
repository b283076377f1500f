"""The readers of columns: parquet files, and data sets on the hub. pyarrow and `datasets` come when they are needed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, BinaryIO, Final

from customspec.errors import Code, Exit
from customspec.inputs.formats import Record, RowError, check_columns
from customspec.inputs.strict_json import quote

_BATCH: Final = 256  # rows in memory at once


def read_parquet(name: str, stream: BinaryIO) -> Iterator[Record]:
    """The rows of a parquet file, as plain data. Raises RowError."""
    parquet = _extra("pyarrow.parquet", "parquet", needed_by=name)
    try:
        yield from _plain_rows(name, parquet.ParquetFile(stream).iter_batches(_BATCH))
    except RowError:
        raise
    except Exception as error:  # pyarrow's errors have no common root
        raise RowError(Code.DATA_FORMAT, f"{name} cannot be read as parquet: {_sentence(error)}") from error


def read_repository(hub: str, revision: str | None, subset: str | None, split: str | None) -> Iterator[Record]:
    """The rows of a data set on the hub, as plain data. Raises RowError."""
    datasets = _extra("datasets", "hub", needed_by=hub)
    try:
        data = datasets.load_dataset(hub, name=subset, revision=revision, split=split)
    except Exception as error:  # whatever keeps it away: no network, no such name, a broken file in it
        broken = isinstance(error, datasets.exceptions.DatasetGenerationError)  # says nothing itself
        cause = _sentence((error.__cause__ if broken else None) or error)
        raise RowError(Code.DATA_MISSING, f"cannot get {hub} from the hub: {cause}") from error
    yield from _plain_rows(hub, data.with_format("arrow").iter(batch_size=_BATCH))


def _extra(module: str, name: str, *, needed_by: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        message = f"{needed_by} needs {module.partition('.')[0]}: {_sentence(error)}"
        hint = f"pip install 'customspec[{name}]'"
        raise RowError(Code.EXTRA_MISSING, message, hint=hint, exit=Exit.ENVIRONMENT) from error


def _sentence(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _plain_rows(name: str, batches: Iterable[Any]) -> Iterator[Record]:
    numbers = itertools.count(1)
    for batch in batches:
        check_columns(name, batch.schema.names)
        for row in batch.to_pylist():
            place = f"{name}: row {next(numbers)}"
            yield place, {column: _plain(place, column, value) for column, value in row.items()}


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
