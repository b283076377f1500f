"""Columns whose names no template can say as they are: `{{ column('Text Body') }}`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from customspec.prompts import TemplateError, reference
from customspec.templates import Template
from support import Ended, Workspace, colours

Command = Callable[..., Ended]

ODD = [
    "Text Body",
    "text-body",
    "2nd",
    "it's",
    'a "b"',
    "back\\slash",
    "größe (cm)",
    "a\nb",
    "{{ x }}",
    "{% if %}",
    "🙂",
    "in",
    "range",
    "None",
]


@pytest.mark.parametrize("column", ["text", *ODD])
def test_every_column_can_be_named_and_is_known_by_its_name(column: str) -> None:
    template = Template(f"say {reference(column)}!")
    assert template.variables == template.printed == {column}
    assert template.render({column: "{{ this }}"}) == "say {{ this }}!"


@pytest.mark.parametrize(
    ("source", "variables", "printed"),
    [
        ("{{ column('a b') | upper }}", {"a b"}, set()),
        ("{% for x in column('a b') %}{{ x }}{% endfor %}", {"a b"}, set()),
        ("{{ column('a b') }}{{ column('a b') }}{{ c }}", {"a b", "c"}, {"a b", "c"}),
        ("{{ column }}", {"column"}, {"column"}),
        ("{% macro column(x) %}<{{ x }}>{% endmacro %}{{ column(c) }}", {"c"}, set()),
    ],
)
def test_the_columns_that_are_asked_for_are_known(source: str, variables: set[str], printed: set[str]) -> None:
    template = Template(source)
    assert template.variables == variables
    assert template.printed == printed


def test_no_column_of_a_name_of_ours_is_hidden() -> None:
    source = "{{ column }} {{ column('a b') }} {{ column('c d') }} {{ column_0 }} {{ row }}"
    fields = {"column": "1", "a b": "2", "c d": "3", "column_0": "4", "row": "5", "column_1": "6"}
    template = Template(source)
    assert template.variables == {"column", "a b", "c d", "column_0", "row"}
    assert template.render(fields) == "1 2 3 4 5"


@pytest.mark.parametrize("call", ["column()", "column(label)", "column('a', 'b')", "column(name='a')", "column(1)"])
def test_what_names_no_column_is_refused(call: str) -> None:
    with pytest.raises(TemplateError, match="`column` takes the name of a column, in quotes") as caught:
        Template(f"one\n{{{{ {call} }}}}")
    assert (caught.value.line, caught.value.word) == (2, "column")


@pytest.fixture
def spaced(workspace: Workspace) -> Workspace:
    for name, start in (("train", 0), ("validation", 100), ("test", 200)):
        rows = [{"Text Body": row["text"], "label": row["label"]} for row in colours(12, start)]
        workspace.rows(f"{name}.jsonl", rows)
    return workspace


PROMPT = """\
prompt:
  user: "{{ column('Text Body') }}"
  answer: "{{ label }}"
  choices: from_data"""


def test_a_spec_with_such_a_column_is_checked_and_shown_like_any_other(spaced: Workspace, customspec: Command) -> None:
    spec = spaced.spec("techniques: [zero_shot]", prompt=PROMPT)
    assert customspec("validate", spec).code == 0
    shown = customspec("show", spec)
    assert "number 200 is amber" in shown.out
    spaced.rows("test.jsonl", [{"Text Body": row["text"], "label": row["label"]} for row in colours(3)])
    ended = customspec("validate", spec)
    assert "CS412 3 test rows are also in `train`" in ended.err


def test_init_names_it(spaced: Workspace, customspec: Command) -> None:
    flags = ("--model", "./model", "--train", "train.jsonl", "--test", "test.jsonl")
    assert customspec("init", spaced.root, *flags).code == 0
    text = (spaced.root / "spec.yaml").read_text()
    assert """user: "{{ column('Text Body') }}"\n""" in text
    assert """answer: "{{ label }}"\n""" in text
