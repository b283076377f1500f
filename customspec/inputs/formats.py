"""The readers of text files: jsonl, json, csv. Each streams records; what is wrong is a RowError with its place."""

from __future__ import annotations

import codecs
import csv
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from customspec.errors import Code, Exit
from customspec.inputs.strict_json import SPACE, JsonError, decode_object, quote, skip_space

MAX_ROW_BYTES: Final = 16 * 2**20
Record = tuple[str, dict[str, Any]]  # the place, for instance `train.jsonl:12`, and the columns

TOO_LONG: Final = "the row is longer than 16 MiB"
_INTERRUPTED: Final = "was the copy interrupted?"
SHORTER: Final = "cut it to what a model can read, or is a line break missing?"
_LISTED: Final = "is this a JSON list? Name the file .json"
_A_PAGE: Final = "is it a web page? Download the file itself"
_ON_EACH_LINE: Final = 'write {"COLUMN": …} on each line; a table with a header line is named .csv'
_ALONE: Final = "write each row on a line of its own, with no comma between them"
_IN_A_LIST: Final = 'write every row as an object: [{"COLUMN": …}, …]'
_ONE_LIST: Final = "keep one list; a file with one object on each line is named .jsonl"
_CHUNK: Final = 2**16  # characters of a json list that are read at once
_FOUND: Final = {
    '"': "text",
    "[": "a list",
    "{": "an object",
    "true": "a boolean",
    "false": "a boolean",
    "null": "null",
}


class RowError(ValueError):
    """A split that cannot be read; the message names the file, and the line where there is one."""

    def __init__(self, code: Code, message: str, *, hint: str | None = None, exit: Exit = Exit.BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit = exit


def read_jsonl(name: str, stream: BinaryIO) -> Iterator[Record]:
    """One object on each line; blank lines are skipped."""
    for line, text in _lines(name, stream):
        if text.strip(SPACE):
            yield f"{name}:{line}", _object_on(name, line, text)


def _object_on(name: str, line: int, text: str) -> dict[str, Any]:
    body = text.rstrip(SPACE)
    start = skip_space(body)
    if body[start] != "{":
        message = f"{name}:{line}:{start + 1}: expected an object on each line, found {_found(body[start:])}"
        hint = _LISTED if body[start] == "[" else _A_PAGE if body[start] == "<" else _ON_EACH_LINE
        raise RowError(Code.DATA_ROW, message, hint=hint)
    try:
        fields, end = decode_object(body, start)
        if end == len(body):
            return fields
        raise JsonError("there is more text behind the row's object", skip_space(body, end), hint=_ALONE)
    except JsonError as fault:
        raise _line_fault(f"{name}:{line}", fault, ended=text.endswith("\n")) from fault


def _line_fault(place: str, fault: JsonError, *, ended: bool) -> RowError:
    if fault.cut and not ended:
        return _cut(f"{place}:{fault.offset + 1}", "no closing `}`, no final newline")
    hint = "a row of a .jsonl file stands on one line; name a JSON list .json" if fault.cut else fault.hint
    return RowError(Code.DATA_ROW, f"{place}:{fault.offset + 1}: {fault.message}", hint=hint)


def _cut(place: str, lacks: str) -> RowError:
    return RowError(Code.DATA_ROW, f"{place}: the row is cut off in the middle ({lacks})", hint=_INTERRUPTED)


def _found(text: str) -> str:
    told = next((named for begins, named in _FOUND.items() if text.startswith(begins)), None)
    return told or ("a number" if text[0] in "-0123456789" else quote(text[0]))


def _lines(name: str, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Numbered lines with their ends. Only a line feed ends a line: U+2028 and its like are text."""
    for line in itertools.count(1):
        raw = stream.readline(MAX_ROW_BYTES + len("\r\n"))
        if not raw:
            return
        if len(raw.rstrip(b"\r\n")) > MAX_ROW_BYTES:
            raise RowError(Code.DATA_ROW, f"{name}:{line}: {TOO_LONG}", hint=SHORTER)
        yield line, _text(name, line, raw.removeprefix(codecs.BOM_UTF8) if line == 1 else raw)


def _text(name: str, line: int, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        place = f"{name}:{line}:{len(raw[: error.start].decode()) + 1}"
        raise _not_utf8(name, f"{place}:", error) from error


def _not_utf8(name: str, place: str, error: UnicodeDecodeError) -> RowError:
    hint = f"convert it, for instance: iconv -f latin1 -t utf-8 {name}"
    if error.reason == "unexpected end of data":  # only where the file ends
        hint = f"{_INTERRUPTED} If not, {hint}"
    return RowError(Code.DATA_FORMAT, f"{place} byte 0x{error.object[error.start]:02X} is not UTF-8", hint=hint)


def read_json(name: str, stream: BinaryIO) -> Iterator[Record]:
    """The objects of one list, which may be larger than memory."""
    window = _Window(name, stream)
    if (first := window.peek()) != "[":
        if not first:
            return
        hint = "keep only the list of rows; a file with one object on each line is named .jsonl"
        raise RowError(Code.DATA_FORMAT, f"{name}: expected a list of objects, found {_found(first)}", hint=hint)
    for number in itertools.count(1):
        window.at += 1
        if number == 1 and window.peek() == "]":
            break
        yield f"{name}: row {number}", window.object(f"{name}: row {number}")
        if window.peek() != ",":
            break
    window.end()


class _Window:
    """The part of a JSON text that is being read: grows by chunks, forgets what lies behind."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.at = 0  # offset in the window of what is read next
        self._name = name
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._line = 1  # of the next chunk's first byte

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            self.at = skip_space(self._text, self.at)
            if self.at < len(self._text) or not self._grow():
                return self._text[self.at : self.at + 1]

    def object(self, place: str) -> dict[str, Any]:
        """The object that comes next. Raises RowError."""
        if (char := self.peek()) != "{":
            if not char:
                raise _cut(place, "no object behind the comma or bracket")
            raise RowError(Code.DATA_ROW, f"{place}: expected an object, found {_found(char)}", hint=_IN_A_LIST)
        fields, end = self._decode(place)
        if end - self.at > MAX_ROW_BYTES:
            raise RowError(Code.DATA_ROW, f"{place}: {TOO_LONG}", hint=SHORTER)
        self.at = end
        return fields

    def end(self) -> None:
        """Raises RowError unless the list ends here, and the text with it."""
        if (char := self.peek()) != "]":
            message = f"{self._name}: expected `,` or `]` behind a row, " + (
                f"found {_found(char)}" if char else "but the file ends"
            )
            raise RowError(Code.DATA_FORMAT, message, hint="write one comma between rows" if char else _INTERRUPTED)
        self.at += 1
        if self.peek():
            raise RowError(Code.DATA_FORMAT, f"{self._name}: there is more text behind the list", hint=_ONE_LIST)

    def _decode(self, place: str) -> tuple[dict[str, Any], int]:
        while True:
            try:
                return decode_object(self._text, self.at)
            except JsonError as fault:  # perhaps only because the chunk ends here
                if len(self._text) - self.at > MAX_ROW_BYTES or not self._grow():
                    raise self._fault(place, fault) from fault

    def _fault(self, place: str, fault: JsonError) -> RowError:
        if not fault.cut:
            return RowError(Code.DATA_ROW, f"{place}: {fault.message}", hint=fault.hint)
        if len(self._text) - self.at > MAX_ROW_BYTES:
            return RowError(Code.DATA_ROW, f"{place}: {TOO_LONG}", hint=SHORTER)
        return _cut(place, "no closing `}`")

    def _grow(self) -> bool:
        """Whether there was more; at least doubles what is unread, so that reading a row stays linear."""
        raw = self._stream.read(max(_CHUNK, len(self._text) - self.at))
        try:
            more = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            line = self._line + error.object[: error.start].count(b"\n")
            raise _not_utf8(self._name, f"{self._name}:{line}:", error) from error
        self._text = self._text[self.at :] + more
        self._line += raw.count(b"\n")
        self.at = 0
        return bool(raw)


def read_csv(name: str, stream: BinaryIO, delimiter: str = ",") -> Iterator[Record]:
    """The records below the header; every value is text."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
    records = _csv_records(name, stream, delimiter)
    _, header = next(records, (1, []))
    check_columns(f"{name}:1", header)
    for line, record in records:
        if len(record) != len(header):
            raise _ragged(f"{name}:{line}", len(record), len(header))
        yield f"{name}:{line}", dict(zip(header, record, strict=True))


def _ragged(place: str, found: int, expected: int) -> RowError:
    culprit = "separator" if found > expected else "line break"
    hint = f"is a {culprit} inside a text that is not quoted?"
    fields = "1 field" if found == 1 else f"{found} fields"
    return RowError(Code.DATA_ROW, f"{place}: {fields}, but the header has {expected}", hint=hint)


def _csv_records(name: str, stream: BinaryIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_without_nul(name, stream), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise _csv_fault(f"{name}:{line}", str(error)) from error
        if record is None:
            return
        if record:
            yield line, record


def _csv_fault(place: str, cause: str) -> RowError:
    if "unexpected end" in cause:
        return _cut(place, "no closing quote")
    if "field limit" in cause:
        return RowError(Code.DATA_ROW, f"{place}: a field is longer than 16 MiB", hint="is a quote not closed?")
    if "new-line" in cause:
        hint = "lines end with a line feed; a text that holds a line break stands in quotes"
        return RowError(Code.DATA_ROW, f"{place}: a carriage return inside a line", hint=hint)
    return RowError(Code.DATA_ROW, f"{place}: not CSV: {cause}", hint='in quotes, a quote is written twice: ""')


def _without_nul(name: str, stream: BinaryIO) -> Iterator[str]:
    for line, text in _lines(name, stream):
        if "\0" in text:
            place = f"{name}:{line}:{text.index(chr(0)) + 1}"
            raise RowError(
                Code.DATA_FORMAT, f"{place}: a NUL character is not text", hint="save the file as UTF-8 text"
            )
        yield text


def check_columns(place: str, names: Sequence[str]) -> None:
    """Raises RowError when a column has no name, or the name of another."""
    for number, column in enumerate(names, 1):
        if not column.strip():
            hint = "give it a name; pandas writes such a column unless told `index=False`"
            raise RowError(Code.DATA_FORMAT, f"{place}: column {number} has no name", hint=hint)
        if column in names[: number - 1]:
            raise RowError(Code.DATA_FORMAT, f"{place}: two columns have the name {quote(column)}", hint="rename one")
