"""Mistakes in jsonl, json and csv files, each with the place and the words that people are told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest

from customspec.inputs.formats import Record, RowError, read_csv, read_json, read_jsonl

MIB = 2**20
CUT = "the row is cut off in the middle (no closing `}`, no final newline) | was the copy interrupted?"
LATIN1 = "convert it, for instance: iconv -f latin1 -t utf-8 t"
ONE_LINE = "a row of a .jsonl file stands on one line; name a JSON list .json"
USE_NULL = "is not JSON | use null or drop the row"
TOO_LARGE = "is too large for a number | use null or drop the row"
NO_LIST = "keep only the list of rows; a file with one object on each line is named .jsonl"
HALF = "the text cannot be stored as UTF-8 | write both halves of the character, or remove the one"
RENAME = "appears twice in one row | remove one, or rename it"
ON_EACH_LINE = 'write {"COLUMN": …} on each line; a table with a header line is named .csv'
QUOTES = 'keys and texts stand in double quotes, as in {"text": "…"}; no comma stands before `}`'
LIBRARY = "let a JSON library write the rows: it quotes and escapes what has to be"
ALONE = "write each row on a line of its own, with no comma between them"
AS_OBJECTS = 'write every row as an object: [{"COLUMN": …}, …]'
LONG = "the row is longer than 16 MiB | cut it to what a model can read, or is a line break missing?"
NO_KEY = "not JSON: expecting property name enclosed in double quotes"

JSONL = {
    "a row cut in a key": ('{"a": 1}\n{"text"', f"CS404 t:2:8: {CUT}"),
    "a row cut in a text": ('{"a": 1}\n{"a": "caf', f"CS404 t:2:7: {CUT}"),
    "a row cut in an escape": ('{"a": "x\\u12', f"CS404 t:1:10: {CUT}"),
    "a row cut in a literal": ('{"a": tru', f"CS404 t:1:7: {CUT}"),
    "a row cut behind an inner brace": ('{"a": {"b": 1}', f"CS404 t:1:15: {CUT}"),
    "Latin-1": (b'{"a": "caf\xe9"}\n', f"CS403 t:1:11: byte 0xE9 is not UTF-8 | {LATIN1}"),
    "mixed encodings": (b'{"a": "\xc3\xa9"}\n{"a": "\xc3\xa9\xe9"}', f"CS403 t:2:9: byte 0xE9 is not UTF-8 | {LATIN1}"),
    "a character cut in the middle": (
        b'{"a": "\xc3',
        f"CS403 t:1:8: byte 0xC3 is not UTF-8 | was the copy interrupted? If not, {LATIN1}",
    ),
    "a duplicate key": (
        '{"text": "a", "label": 1}\n{"text": "b", "label": 2, "text": "c"}\n',
        f"CS404 t:2:27: key `text` {RENAME}",
    ),
    "a duplicate key in another spelling": (
        '{"text": 1, "te\\u0078t": 2}',
        f"CS404 t:1:13: key `text` {RENAME}",
    ),
    "a duplicate key in an inner object, behind a text and an object with that key": (
        r'{"a": "{\"k\": 1, \"k\": 2}", "b": {"k": 1}, "c": [{"k": 1, "k": 2}]}',
        f"CS404 t:1:61: key `k` {RENAME}",
    ),
    "a key that would command the terminal": (
        '{"\\u001b[31m": 1, "\\u001b[31m": 2}',
        f"CS404 t:1:19: key `\N{REPLACEMENT CHARACTER}[31m` {RENAME}",
    ),
    "a key that would fill the screen": (
        f'{{"{"k" * 99}": 1, "{"k" * 99}": 2}}',
        f"CS404 t:1:108: key `{'k' * 60}…` {RENAME}",
    ),
    "NaN": ('{"a": NaN}', f"CS404 t:1:7: NaN {USE_NULL}"),
    "NaN behind a key and a text of that name": ('{"NaN": "NaN", "b": NaN}', f"CS404 t:1:21: NaN {USE_NULL}"),
    "minus infinity": ('{"a": [1, -Infinity]}', f"CS404 t:1:11: -Infinity {USE_NULL}"),
    "1e400": ('{"a": 1e400}', f"CS404 t:1:7: `1e400` {TOO_LARGE}"),
    "-1E+400": ('{"a": -1E+400}', f"CS404 t:1:7: `-1E+400` {TOO_LARGE}"),
    "too many digits": (
        '{"a": -' + "9" * 5000 + "}",
        f"CS404 t:1:7: `-{'9' * 59}…` has too many digits for a number | quote it: it is text",
    ),
    "half of a surrogate pair": (
        '{"text": "\\ud83d\\ude00"}\n{"text": "\\\\ud800 \\uD800"}',
        f"CS404 t:2:10: unpaired surrogate U+D800 in `text`; {HALF}",
    ),
    "half of a surrogate pair in a key": (
        '{"t\\udc00": 1}',
        f"CS404 t:1:2: unpaired surrogate U+DC00 in a key; {HALF}",
    ),
    "an escaped NUL": (
        '{"text": "\\\\u0000"}\n{"a": 1, "text": "a \\u0000 b"}',
        r"CS404 t:2:18: a NUL character in `text` is not text | remove the `\u0000`",
    ),
    "an escaped NUL in a key": (
        '{"t\\\\\\u0000": 1}',
        r"CS404 t:1:2: a NUL character in a key is not text | remove the `\u0000`",
    ),
    "a list": (
        '\n  [{"a": 1}]\n',
        "CS404 t:2:3: expected an object on each line, found a list | is this a JSON list? Name the file .json",
    ),
    "a text": ('"a"\n', f"CS404 t:1:1: expected an object on each line, found text | {ON_EACH_LINE}"),
    "a word": ("not json\n", f"CS404 t:1:1: expected an object on each line, found `n` | {ON_EACH_LINE}"),
    "a number": ("-1\n", f"CS404 t:1:1: expected an object on each line, found a number | {ON_EACH_LINE}"),
    "a boolean": ("false\n", f"CS404 t:1:1: expected an object on each line, found a boolean | {ON_EACH_LINE}"),
    "null": ("null\n", f"CS404 t:1:1: expected an object on each line, found null | {ON_EACH_LINE}"),
    "no JSON at all": ("hello\n", f"CS404 t:1:1: expected an object on each line, found `h` | {ON_EACH_LINE}"),
    "two objects on a line": (
        '{"a": 1} {"a": 2}\n',
        f"CS404 t:1:10: there is more text behind the row's object | {ALONE}",
    ),
    "a Python dict": ("{'a': 1}\n", f"CS404 t:1:2: {NO_KEY} | {QUOTES}"),
    "an object over many lines": ('{\n"a": 1\n}\n', f"CS404 t:1:2: {NO_KEY} | {ONE_LINE}"),
    "a line feed inside a text": ('{"a": "b\nc"}\n', f"CS404 t:1:7: not JSON: unterminated string | {ONE_LINE}"),
    "a NUL inside a text": ('{"a": "b\0c"}\n', f"CS404 t:1:9: not JSON: invalid control character | {LIBRARY}"),
    "endless nesting": (
        '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}",
        "CS404 t:1:1: nested too deeply | write the inner part as text",
    ),
    "a giant row": ('{"a": 1}\n{"a": "' + "x" * 16 * MIB + '"}\n', f"CS404 t:2: {LONG}"),
}

JSON = {
    "a list inside an object": (
        '{"data": [{"a": 1}]}',
        f"CS403 t: expected a list of objects, found an object | {NO_LIST}",
    ),
    "a text": ('"a"', f"CS403 t: expected a list of objects, found text | {NO_LIST}"),
    "a list of numbers": ("[1]", f"CS404 t: row 1: expected an object, found a number | {AS_OBJECTS}"),
    "a comma too many": ('[{"a": 1},]', f"CS404 t: row 2: expected an object, found `]` | {AS_OBJECTS}"),
    "a comma too few": (
        '[{"a": 1} {"a": 2}]',
        "CS403 t: expected `,` or `]` behind a row, found an object | write one comma between rows",
    ),
    "a list cut behind a row": (
        '[{"a": 1}\n',
        "CS403 t: expected `,` or `]` behind a row, but the file ends | was the copy interrupted?",
    ),
    "a list cut behind a comma": (
        '[{"a": 1},\n',
        "CS404 t: row 2: the row is cut off in the middle (no object behind the comma or bracket)"
        " | was the copy interrupted?",
    ),
    "a list cut in a row": (
        '[{"a": 1}, {"a',
        "CS404 t: row 2: the row is cut off in the middle (no closing `}`) | was the copy interrupted?",
    ),
    "text behind the list": (
        '[{"a": 1}] x',
        "CS403 t: there is more text behind the list"
        " | keep one list; a file with one object on each line is named .jsonl",
    ),
    "a value that is none": ('[{"a": x}]', f"CS404 t: row 1: not JSON: expecting value | {LIBRARY}"),
    "a duplicate key": ('[{"a": 1, "a": 2}]', f"CS404 t: row 1: key `a` {RENAME}"),
    "NaN": ('[{"a": 1}, {"a": NaN}]', f"CS404 t: row 2: NaN {USE_NULL}"),
    "Latin-1 far from the start": (
        b"[\n" + b'{"a": 1},\n' * 10_000 + b'{"a": "\xe9"}]',
        f"CS403 t:10002: byte 0xE9 is not UTF-8 | {LATIN1}",
    ),
    "a giant row": ('[{"a": "' + "x" * 16 * MIB + '"}]', f"CS404 t: row 1: {LONG}"),
    "a giant row without end": ('[{"a": "' + "x" * 40 * MIB, f"CS404 t: row 1: {LONG}"),
}

CSV = {
    "too many fields": (
        'text,label\n"a\nb",c\nd,e,f\n',
        "CS404 t:4: 3 fields, but the header has 2 | is a separator inside a text that is not quoted?",
    ),
    "too few fields": (
        "text,label\na\n",
        "CS404 t:2: 1 field, but the header has 2 | is a line break inside a text that is not quoted?",
    ),
    "a column named twice": ("text,text\na,b\n", "CS403 t:1: two columns have the name `text` | rename one"),
    "a column without a name": (
        ",text\n0,a\n",
        "CS403 t:1: column 1 has no name | give it a name; pandas writes such a column unless told `index=False`",
    ),
    "a row cut in a text": (
        'text\na\n"b\nc',
        "CS404 t:3: the row is cut off in the middle (no closing quote) | was the copy interrupted?",
    ),
    "text behind a quote": (
        'text\n"a"b\n',
        "CS404 t:2: not CSV: ',' expected after '\"' | in quotes, a quote is written twice: \"\"",
    ),
    "a NUL": ("text\na\0b\n", "CS403 t:2:2: a NUL character is not text | save the file as UTF-8 text"),
    "Latin-1": (b"text\ncaf\xe9\n", f"CS403 t:2:4: byte 0xE9 is not UTF-8 | {LATIN1}"),
    "lines that end with a carriage return": (
        "text,label\ra,b\r",
        "CS404 t:1: a carriage return inside a line"
        " | lines end with a line feed; a text that holds a line break stands in quotes",
    ),
    "a giant row": ("text\n" + "x" * (16 * MIB + 1), f"CS404 t:2: {LONG}"),
    "a quote that never closes": (
        'text\n"' + ("x" * 999 + "\n") * 17 * 1024,
        "CS404 t:2: a field is longer than 16 MiB | is a quote not closed?",
    ),
}

Reader = Callable[[str, io.BytesIO], Iterator[Record]]
MISTAKES = [
    pytest.param(reader, content, told, id=f"{reader.__name__} {mistake}")
    for reader, table in ((read_jsonl, JSONL), (read_json, JSON), (read_csv, CSV))
    for mistake, (content, told) in table.items()
]


def rows(reader: Reader, content: str | bytes) -> list[Record]:
    return list(reader("t", io.BytesIO(content if isinstance(content, bytes) else content.encode())))


@pytest.mark.parametrize(("reader", "content", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place(reader: Reader, content: str | bytes, message: str) -> None:
    with pytest.raises(RowError) as caught:
        rows(reader, content)
    fault = caught.value
    assert f"{fault.code.value} {fault}{f' | {fault.hint}' if fault.hint else ''}" == message


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        (read_jsonl, ""),
        (read_jsonl, "\n \r\n\n"),
        (read_json, ""),
        (read_json, " \n"),
        (read_json, " [ ]\n"),
        (read_csv, ""),
        (read_csv, "text,label\r\n"),
    ],
)
def test_a_file_without_rows_gives_none(reader: Reader, content: str) -> None:
    assert rows(reader, content) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_jsonl_takes_a_row_up_to_the_limit(end: str) -> None:
    text = "x" * (16 * MIB - len('{"a": ""}'))
    assert rows(read_jsonl, f'{{"a": "{text}"}}{end}') == [("t:1", {"a": text})]


def test_csv_takes_a_field_up_to_the_limit() -> None:
    assert rows(read_csv, "text\n" + "x" * 16 * MIB) == [("t:2", {"text": "x" * 16 * MIB})]


def test_json_may_be_cut_into_chunks_anywhere() -> None:
    written = [{"text": "é😀\\", "n": -1.5e3, "l": [True, None]}, {"text": "ü", "n": 2, "l": []}]
    text = json.dumps(written, ensure_ascii=False, indent=1)
    for before in range(len(text.encode()) + 1):
        assert [fields for _, fields in rows(read_json, " " * (2**16 - before) + text)] == written


def test_json_takes_rows_that_are_longer_than_a_chunk() -> None:
    written = [{"text": "é" * size} for size in (10, 300_000, 2_000_000, 20)]
    assert [fields for _, fields in rows(read_json, json.dumps(written, ensure_ascii=False))] == written
