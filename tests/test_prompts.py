"""Templates: what they render, and what they must never do."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customspec.prompts import ContentFree, Example, Message, PromptTemplate, Row, TemplateError, messages
from customspec.templates import Template

FIELDS: dict[str, Any] = {
    "text": "hello",
    "words": ["one", "two"],
    "nested": {"items": 3, "deep": {"key": "value"}},
    "empty": "",
    "nothing": None,
    "number": 3,
}


def prompt_of(user: str, answer: str, system: str | None = None) -> PromptTemplate:
    return PromptTemplate(Template(user), Template(answer), None if system is None else Template(system))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{ text }}!", "hello!"),
        ("{{ words | join(', ') }}", "one, two"),
        ("{% for word in words %}{{ loop.index }}.{{ word }} {% endfor %}", "1.one 2.two "),
        ("{% if empty %}full{% else %}void{% endif %}", "void"),
        ("{{ nested.deep.key }} {{ nested['deep']['key'] }}", "value value"),
        ("{{ number * 2 + 1 }}", "7"),
        ("{{ number / 2 }}", "1.5"),
        ("{% set shout = text | upper %}{{ shout }}", "HELLO"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("{# a note #}{{ text }}", "hello"),
        ("{{ '<b>' ~ text }} & \"", '<b>hello & "'),
        ("{% raw %}{{ text }}{% endraw %}", "{{ text }}"),
        ("", ""),
    ],
)
def test_a_template_is_filled_with_the_rows_columns(template: str, expected: str) -> None:
    assert Template(template).render(FIELDS) == expected


def test_columns_with_markup_are_text_and_never_rendered_again() -> None:
    assert Template("{{ text }}").render({"text": "{{ 6 * 7 }} {% raw %} <b>"}) == "{{ 6 * 7 }} {% raw %} <b>"


@pytest.mark.parametrize(
    ("template", "variables"),
    [
        ("{{ text }} {{ nested.key }} {{ words[number] }}", {"text", "nested", "words", "number"}),
        ("{% set a = text %}{{ a }}", {"text"}),
        ("{% for word in words %}{{ word }}{{ loop.index }}{% endfor %}", {"words"}),
        ("{% if a is defined %}{{ b }}{% endif %}", {"a", "b"}),
        ("{% for i in range(3) %}{{ i }}{% endfor %}{% set n = namespace(x=1) %}", set()),
        ("no variables", set()),
    ],
)
def test_a_templates_variables_are_the_columns_that_it_asks_for(template: str, variables: set[str]) -> None:
    assert Template(template).variables == variables


@pytest.mark.parametrize(
    "template",
    ["{{ absent }}", "{{ absent.key }}", "{{ nested.absent }}", "{% if absent %}x{% endif %}", "{{ words[7] }}"],
)
def test_what_is_not_there_is_an_error_never_an_empty_text(template: str) -> None:
    with pytest.raises(TemplateError, match=r"undefined|no attribute|no element"):
        Template(template).render(FIELDS)


@pytest.mark.parametrize(
    ("template", "line"),
    [("{{ text", 1), ("\n\n{% if text %}", 3), ("a\n{{ text | nope }}", 2), ("{% endfor %}", 1), ("\n{{ 1 + }}", 2)],
)
def test_a_mistake_is_told_with_its_line(template: str, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template)
    assert caught.value.line == line
    assert str(caught.value)


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ (text | attr('__class__')).__name__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ range['__globals__'] }}",
    "{{ '{0.__class__.__mro__}'.format(text) }}",
    "{{ '{t.__class__}'.format_map({'t': text}) }}",
    "{{ ([text] | map(attribute='__class__') | list)[0].__name__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ joiner.__init__ }}",
    "{{ words['append']('three') }}",
    "{{ nested.update({'items': 4}) }}",
    "{{ (text.format | attr('__func__')) }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_nobody_gets_out_of_the_sandbox(template: str) -> None:
    fields = json.loads(json.dumps(FIELDS))
    with pytest.raises(TemplateError):
        Template(template).render(fields)
    assert fields == FIELDS


def test_the_word_that_is_refused_is_named_with_its_line() -> None:
    with pytest.raises(TemplateError, match="`__class__` is not allowed") as caught:
        Template("fine\n{{ text.__class__ }}")
    assert (caught.value.line, caught.value.word) == (2, "__class__")


@pytest.mark.parametrize("template", ["{{ 9**(9**9) }}", "\n{% if 2 ** 2 %}{% endif %}", "{{ [1 ** number] }}"])
def test_powers_are_refused_before_anything_is_computed(template: str) -> None:
    with pytest.raises(TemplateError, match=r"operator `\*\*` is not allowed") as caught:
        Template(template)
    assert caught.value.word == "**"


@pytest.mark.parametrize("expression", ["9**(9**9)", "10**(10**10) if absent else 1"])
def test_compiling_a_power_does_not_hang(expression: str) -> None:
    program = (
        "from customspec.prompts import TemplateError\nfrom customspec.templates import Template\n"
        f"try: Template('{{{{ {expression} }}}}')\n"
        "except TemplateError: print('refused')"
    )
    # in a process of its own: if this computed the power, nothing else could end it
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "refused\n"


def test_a_text_larger_than_the_memory_is_a_template_error() -> None:
    with pytest.raises(TemplateError, match="MemoryError"):
        Template("{{ 'a' * 99999999999999 }}").render({})


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'other' %}",
        "{% include ['a', 'b'] ignore missing %}",
        "{% import 'other' as o %}",
        "{% from 'other' import x %}",
        "{% extends 'other' %}",
        "{% if a %}\n{% include name %}{% endif %}",
    ],
)
def test_a_template_loads_no_other(template: str) -> None:
    with pytest.raises(TemplateError, match="may not load another template") as caught:
        Template(template)
    assert caught.value.line == 1 + template.count("\n")


@pytest.mark.parametrize("template", ["{{ lipsum() }}", "{{ words | random }}"])
def test_nothing_random_stands_in_a_prompt(template: str) -> None:
    with pytest.raises(TemplateError):
        Template(template).render(FIELDS)


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{% for a in b %}" * 25 + "{% endfor %}" * 25,
        "{% if a %}" * 300 + "{% endif %}" * 300,
        "{{ " + "1" * 5000 + " }}",
    ],
    ids=["parentheses", "loops", "conditions", "digits"],
)
def test_what_python_cannot_compile_is_a_template_error(template: str) -> None:
    with pytest.raises(TemplateError):
        Template(template).render(FIELDS)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 / 0 }}",
        "{{ number | xmlattr }}",
        "{{ cycler().next() }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ [1, 'a'] | sort }}",
        "{{ range(10 * 1000 * 1000) }}",
        "{{ text + number }}",
        "{{ text() }}",
    ],
)
def test_values_that_do_not_fit_are_a_template_error(template: str) -> None:
    with pytest.raises(TemplateError, match=r"."):
        Template(template).render(FIELDS)


WORDS = "{{ }} {% %} for in endfor if endif set block raw text words nested macro call __class__ |join filter é not is"
PARTS = st.sampled_from([*"{}%#|.()[]'\"*~=+- \n\0_ai1\ud800", *WORDS.split()])


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=14).map("".join) | st.text(max_size=40))
def test_any_text_is_a_template_or_a_template_error(source: str) -> None:
    try:
        rendered = Template(source).render(FIELDS)
    except TemplateError as error:
        assert str(error)  # noqa: PT017  # either end is right
        assert error.line >= 1  # noqa: PT017
    else:
        assert isinstance(rendered, str)


# --- prompts

ROW = Row("train:1", {"text": "hello", "label": "warm"}, "train.jsonl:1")


def test_a_prompt_renders_a_row_as_an_example() -> None:
    prompt = prompt_of("{{ text }} ->", "{{ label }}", "Say {{ 'it' }}.")
    assert prompt.render(ROW) == Example("train:1", "Say it.", "hello ->", "warm")


def test_without_a_system_template_there_is_no_system_message() -> None:
    example = prompt_of("{{ text }}", "{{ label }}").render(ROW)
    assert example.system is None
    assert messages(example) == (Message("user", "hello"),)


def test_a_query_without_its_answer_needs_no_answer_column() -> None:
    prompt = prompt_of("{{ text }}", "{{ label }}")
    row = Row("query:1", {"text": "hello"}, "here")
    assert prompt.render(row, answered=False).answer == ""
    with pytest.raises(TemplateError, match="label"):
        prompt.render(row)


def test_space_around_system_and_answer_goes_and_around_the_users_text_stays() -> None:
    row = Row("1", {"text": " a\n", "label": "\n warm \t"}, "here")
    prompt = prompt_of("\n{{ text }} \n", "{{ label }}\n", "\n  Say. \n")
    assert prompt.render(row) == Example("1", "Say.", "\n a\n \n", "warm")


def test_inside_a_template_every_line_end_stays_as_written() -> None:
    assert Template("{% if 1 %}\n  a\n{% endif %}\nb\n").render({}) == "\n  a\n\nb\n"
    assert Template("{%- if 1 -%}\n  a\n{%- endif -%}\nb\n").render({}) == "ab\n"


def test_demonstrations_stand_between_the_system_message_and_the_query_in_their_order() -> None:
    query = Example("q", "be brief", "3?", "three")
    shots = [Example("1", "be long", "1?", "one"), Example("2", None, "2?", "two")]
    assert messages(query, shots) == (
        Message("system", "be brief"),
        Message("user", "1?"),
        Message("assistant", "one"),
        Message("user", "2?"),
        Message("assistant", "two"),
        Message("user", "3?"),
    )


def test_a_conversation_never_holds_the_querys_own_answer() -> None:
    query = Example("q", "s", "3?", "SECRET")
    shown = messages(query, [Example("1", None, "1?", "one")])
    assert not any("SECRET" in message.content for message in shown)
    assert shown[-1].role == "user"


def test_a_question_without_content_is_filled_once_for_all_rows_that_the_template_does_not_tell_apart() -> None:
    prompt = prompt_of("{{ text }} {{ number }}", "{{ label }}", "{{ text | length }}")
    filled: list[str] = []
    fill = PromptTemplate.without_content

    class Counting(PromptTemplate):
        def without_content(self, example: Example, stand_in: str) -> Example:
            filled.append(example.id)
            return fill(self, example, stand_in)

    counting = Counting(prompt.user, prompt.answer, prompt.system)
    empty = ContentFree(counting, ("N/A", ""))
    rows = [Row(str(n), {"text": f"row {n}", "number": n % 2, "label": "x", "n": n}, "") for n in range(6)]
    for example in prompt.render_all(rows):
        assert empty(example) == [fill(prompt, example, text) for text in ("N/A", "")]
    assert filled == ["0", "0", "1", "1"]


def test_numbers_and_texts_of_one_spelling_are_told_apart() -> None:
    prompt = prompt_of("{{ number is string }}", "x")
    empty = ContentFree(prompt, ("",))
    found = [empty(prompt.render(Row("r", {"number": number}, "")))[0].user for number in (3, "3", 3.0)]
    assert found == ["False", "True", "False"]
