"""Reading: a text, a file, or one value of the command line."""

from __future__ import annotations

import pathlib
import re
import stat
from dataclasses import dataclass
from itertools import islice
from typing import Final

from customspec.errors import MOST_PROBLEMS, Code, Location, Problem, SpecError, UsageError
from customspec.source.document import Document
from customspec.source.text import SourceText
from customspec.source.walk import Walk

MAX_STRAY = 5  # unreadable characters that are told one by one

_BOM = "\ufeff"
_BOMS = (  # the longer first: one begins as another does
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?=[ \r\n]|$)", re.MULTILINE)
# What YAML forbids, and the three line breaks of YAML 1.1 that YAML 1.2 and most editors take for text.
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is, for messages, and how large one of that kind may be; the texts are what to do where
    it is missing, where it is empty (`start`), and where it is too large (`shrink`)."""

    name: str
    missing: str
    start: str
    shrink: str
    most_bytes: int
    most_values: int


SPEC: Final = Kind(
    "spec",
    missing="check the path, or make a first spec with `customspec init`",
    start="start with `customspec init`, or write `customspec: 1` in the first line",
    shrink="move data to files, and name them under `data`; `choices: from_data` takes the choices from there",
    most_bytes=256 * 1024,
    most_values=10_000,  # are read in a second
)


def read(path: pathlib.Path, kind: Kind = SPEC) -> Document:
    """The document in a file. Raises SpecError with every problem that was found."""
    file = str(path)
    return parse(_decode(_bytes(path, file, kind), file), file, kind)


def parse(text: str, file: str, kind: Kind = SPEC) -> Document:
    """The document in a text that was read from `file`. Raises SpecError with every problem that was found."""
    source = _readable(text, file, kind)
    walk = Walk(source, kind.most_values, kind.shrink)
    data = walk.document()
    if walk.problems:
        raise SpecError(tuple(walk.problems))
    if not isinstance(data, dict):
        raise SpecError((_not_a_mapping(data, walk.root, source, kind),))
    return Document(file, source.text, data, walk.marks)


def parse_scalar(text: str) -> object:
    """The value behind `--set key=`: a YAML scalar or flow collection. Raises UsageError if it is neither."""
    try:
        walk = Walk(_readable(text, "--set", SPEC), SPEC.most_values, SPEC.shrink)
        value = walk.document()
        if walk.problems:
            raise SpecError(tuple(walk.problems))
    except SpecError as error:
        first = error.problems[0]
        hint = f"; {first.hint}" if first.hint else ""
        raise UsageError(f"`{text}` is not a value in YAML: {first.message}{hint}") from None
    if isinstance(value, dict | list) and not text.lstrip().startswith(("[", "{")):
        raise UsageError(f"`{text}` is not one value: quote it if it is text, or write [a, b] or {{key: value}}")
    return value


def _bytes(path: pathlib.Path, file: str, kind: Kind) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "this is a folder" if stat.S_ISDIR(status.st_mode) else "this is not a regular file"
            raise _missing(file, what, kind)
        if status.st_size > kind.most_bytes:
            raise _too_big(file, status.st_size, kind)
        return path.read_bytes()
    except FileNotFoundError:
        raise _missing(file, "there is no such file", kind) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _missing(file, f"the file cannot be read: {reason}", kind) from None


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = SourceText(file, raw[: error.start].decode("utf-8").removeprefix(_BOM))
        byte = raw[error.start]
        other = next((f"the file is {name}" for bom, name in _BOMS if raw.startswith(bom)), None)
        guess = other or f"looks like Latin-1 `{chr(byte)}`"
        message = f"byte 0x{byte:02X} at offset {error.start} is not UTF-8 ({guess})"
        place = before.place(len(before.text))
        raise SpecError((Problem(Code.YAML_ENCODING, message, place, "save the file as UTF-8"),)) from None


def _readable(text: str, file: str, kind: Kind) -> SourceText:
    source = SourceText(file, text.removeprefix(_BOM))
    size = len(source.text.encode("utf-8", "surrogatepass"))
    if size > kind.most_bytes:
        raise _too_big(file, size, kind)
    problems = [*_conflicts(source), *_characters(source)]
    if problems:
        raise SpecError(tuple(problems))
    return source


def _characters(source: SourceText) -> list[Problem]:
    found = list(islice(_UNREADABLE.finditer(source.text), MOST_PROBLEMS))
    if len(found) > MAX_STRAY:
        message = f"{len(found)} or more characters that no text holds: this is not a YAML file"
        return [source.problem(Code.YAML_ENCODING, message, found[0].start(), "is it the right file?")]
    messages = ((f"character U+{ord(one.group()):04X} is not allowed", one.start()) for one in found)
    return [source.problem(Code.YAML_SYNTAX, message, index, "remove it") for message, index in messages]


def _conflicts(source: SourceText) -> list[Problem]:
    marks = list(_CONFLICT.finditer(source.text))
    first = next((mark for mark in marks if mark.group().startswith("<")), None)
    if first is None:
        return []
    others = [source.place(mark.start()) for mark in marks if mark is not first]
    also = " and ".join(f"{place.line}:{place.column}" for place in others[:4])
    hint = "resolve the merge first" + (f"; markers also at {also}" if also else "")
    return [source.problem(Code.YAML_SYNTAX, "git conflict marker", first.start(), hint)]


def _not_a_mapping(data: object, root: int, source: SourceText, kind: Kind) -> Problem:
    if data is None:
        return source.problem(Code.YAML_EMPTY, f"the {kind.name} is empty", 0, kind.start)
    found = "a list" if isinstance(data, list) else "text" if isinstance(data, str) else "a value"
    hint = "remove the leading `- `" if source.text.startswith("- ", root) else "write `key: value` lines"
    message = f"expected a mapping at the top level, found {found}"
    return source.problem(Code.YAML_NOT_MAPPING, message, root, hint)


def _missing(file: str, message: str, kind: Kind) -> SpecError:
    return SpecError((Problem(Code.FILE_MISSING, message, Location(file, 1, 1), kind.missing),))


def _too_big(file: str, size: int, kind: Kind) -> SpecError:
    message = f"the {kind.name} is {size:,} bytes; the limit is {kind.most_bytes // 1024} KiB"
    return SpecError((Problem(Code.YAML_LIMIT, message, Location(file, 1, 1), kind.shrink),))
