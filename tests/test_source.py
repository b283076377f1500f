"""Reading of specs: values, places, changes from the command line, and text of any kind."""

from __future__ import annotations

import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.errors import Code, Location, Problem, SpecError, UsageError
from customspec.source import Document, KeyPath, parse, parse_scalar, read

TOKENS = r"""{ } [ ] {{ }} : - ? | > % @ # , " ' \ &a *a !t !!x << ~ a b: 010 1e4 \U \x é 😀"""
BLANKS = (" ", "\n", "\n  ", "\n- ", ": ", " #", "\t", "\r\n", "\r", "---\n", "...\n", "%YAML 2.0\n", "\x00", "\ud800")
PIECES = st.sampled_from([*TOKENS.split(), *BLANKS])
ONLY_TEXT = "yes no On off y tRUE nULL 12:30 2026-01-31 1_000 0b1 -0x1 0o8 1e . = e5 0x inf .Nan1 ١٢"
SETTINGS = settings(derandomize=True, max_examples=400, deadline=None)

SPEC = """\
# a comment
base_model: {package: p, file: f}
techniques:
- zero_shot
- lora:
    r: 16
goal:
"""


def outcome(reading: Callable[[], Document]) -> Document | tuple[Problem, ...]:
    """What reading ends with: a document, or problems; anything else that is raised fails the test."""
    try:
        return reading()
    except SpecError as error:
        return error.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("010.5", 10.5),
        ("-.inf", -math.inf),
        ("+.INF", math.inf),
        ("17", 17),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0o17", 15),
        ("0xFf", 255),
        ("9" * 20, int("9" * 20)),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", None),
    ],
)
def test_core_schema_scalars_have_their_value(text: str, value: object) -> None:
    read_value = parse(f"key: {text}\n", "f").data["key"]
    assert (type(read_value), read_value) == (type(value), value)


@pytest.mark.parametrize("text", ONLY_TEXT.split())
def test_what_only_looks_like_a_value_is_text(text: str) -> None:
    assert parse(f"key: {text}\n", "f").data["key"] == text


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(parse("key: .nan", "f").data["key"])


@pytest.mark.parametrize("text", ["'1'", '"true"', '"010"', "|-\n  1", ">-\n  null"])
def test_quoted_and_block_values_are_text(text: str) -> None:
    assert isinstance(parse(f"key: {text}\n", "f").data["key"], str)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("010", "write 8 or 10, or quote it if it is text"),
        ("-010", "write -8 or -10, or quote it if it is text"),
        ("08", "write 8, or quote it if it is text"),
        ("00", "write 0, or quote it if it is text"),
    ],
)
def test_an_ambiguous_number_is_refused_with_its_readings(text: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(f"key: {text}", "f")
    assert [(problem.code, problem.hint) for problem in caught.value.problems] == [(Code.YAML_NUMBER, hint)]


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, "1:1"),
        (("base_model",), False, "2:13"),
        (("base_model",), True, "2:1"),
        (("base_model", "file"), False, "2:32"),
        (("techniques", 0), True, "4:3"),
        (("techniques", 1, "lora", "r"), False, "6:8"),
        (("techniques", 1, "lora", "r"), True, "6:5"),
        (("goal",), False, "7:6"),
        (("techniques", 1, "lora", "alpha", 3), True, "5:3"),
        (("techniques", 9), False, "4:1"),
        (("absent", "data"), True, "1:1"),
    ],
)
def test_a_path_is_found_where_it_or_what_encloses_it_stands(path: KeyPath, key: bool, place: str) -> None:
    assert str(parse(SPEC, "s").locate(path, key=key)) == f"s:{place}"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_byte_order_marks_and_line_ends_move_no_place(start: str, line_end: str) -> None:
    document = parse(start + SPEC.replace("\n", line_end), "s")
    assert (document.data, document.marks) == (parse(SPEC, "s").data, parse(SPEC, "s").marks)


def test_columns_count_characters() -> None:
    assert parse("é😀: {ключ: 值}", "s").locate(("é😀", "ключ")) == Location("s", 1, 12)


def test_a_changed_value_is_placed_at_its_origin_and_the_old_document_stays() -> None:
    before = parse(SPEC, "s")
    after = before.with_value(("techniques", 1, "lora"), {"r": 4}, origin="--set techniques.1.lora")
    assert after.data["techniques"] == ["zero_shot", {"lora": {"r": 4}}]
    assert before.data["techniques"] == ["zero_shot", {"lora": {"r": 16}}]
    assert str(after.locate(("techniques", 1, "lora", "r"), key=True)) == "--set techniques.1.lora:1:1"
    assert str(after.locate(("techniques", 1))) == "s:5:3"


def test_missing_and_empty_mappings_are_made_on_the_way_to_a_new_value() -> None:
    document = parse(SPEC, "s").with_value(("budget", "minutes"), 3, origin="o")
    document = document.with_value(("goal", "at_least"), 0.5, origin="p")
    assert (document.data["budget"], document.data["goal"]) == ({"minutes": 3}, {"at_least": 0.5})
    assert [str(document.locate(path)) for path in [("budget",), ("goal",)]] == ["o:1:1", "s:7:6"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ((), "--set: names no key"),
        (("base_model", "file", "x"), "--set: `base_model.file` is text, it has no `x`"),
        (("techniques", 2), "--set: `techniques` is a list of 2, it has no item 2; the first is 0"),
        (("techniques", -1, "lora"), "--set: `techniques` is a list of 2, it has no item -1; the first is 0"),
        (("techniques", "lora"), "--set: `techniques` is a list; name one of its items by number, not `lora`"),
        (("techniques", 1, "lora", "r", 0), "--set: `techniques.1.lora.r` is a number, it has no `0`"),
        (("base_model", 0), "--set: `base_model` is not a list, it has no item 0"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: KeyPath, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(SPEC, "s").with_value(path, 1, origin="--set")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("[1, 2]", [1, 2]), ("no", "no"), ("", None), ("{a: b}", {"a": "b"}), ("'{{ x }}'", "{{ x }}")],
)
def test_a_value_of_the_command_line_is_yaml(text: str, value: object) -> None:
    assert parse_scalar(text) == value


@pytest.mark.parametrize("text", ["{{ x }}", "[1", "a: b", "- a", "010", "*a", "a\x1b", "--- a\n--- b"])
def test_a_value_of_the_command_line_that_is_not_one_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_scalar(text)


def test_a_file_is_read_under_the_name_that_it_was_given(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: caf\xc3\xa9\r\n")
    document = read(path)
    assert (document.data, document.file) == ({"name": "café"}, str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.yaml", "there is no such file"),
        ("", "this is a folder"),
        ("fifo", "this is not a regular file"),
        ("x" * 300, "the file cannot be read: File name too long"),
        ("nul\0", "the file cannot be read: embedded null byte"),
    ],
)
def test_what_is_no_readable_file_is_said_to_be_none(tmp_path: pathlib.Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SpecError) as caught:
        read(tmp_path / name)
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == (Code.FILE_MISSING, message)


@SETTINGS
@given(st.text() | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_a_document_or_has_problems_that_lie_within_it(text: str) -> None:
    result = outcome(lambda: parse(text, "spec.yaml"))
    lines = len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    if isinstance(result, tuple):
        assert result
        assert all(1 <= p.location.line <= lines and p.location.column >= 1 for p in result)
    else:
        assert isinstance(result, Document)
        assert isinstance(result.data, dict)


@SETTINGS
@given(position=st.integers(0, len(SPEC)), removed=st.integers(0, 3), piece=PIECES)
def test_a_damaged_spec_is_read_or_refused(position: int, removed: int, piece: str) -> None:
    damaged = SPEC[:position] + piece + SPEC[position + removed :]
    assert outcome(lambda: parse(damaged, "spec.yaml"))


@SETTINGS
@given(raw=st.binary())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(raw)
    assert outcome(lambda: read(path))


@SETTINGS
@given(data=st.dictionaries(st.text("abc", min_size=1), st.integers(-(10**19), 10**19) | st.booleans() | st.none()))
def test_plain_data_comes_back_as_it_was_written(data: dict[str, object]) -> None:
    words = {True: "true", False: "false", None: "null"}
    lines = (f'"{key}": {value if type(value) is int else words[value]}' for key, value in data.items())  # type: ignore[index]
    assert parse("{" + ", ".join(lines) + "}", "f").data == data


def test_reading_needs_no_library_but_yaml() -> None:
    script = "import sys, customspec.source; print({'pydantic', 'torch', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
