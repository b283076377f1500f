"""Rows in little memory: what comes out is what went in."""

from __future__ import annotations

import sys

import pytest

from customspec.compiler import prompting
from customspec.compiler.problems import Problems
from customspec.errors import SpecError
from customspec.inputs import packed
from customspec.inputs.packed import Packed, pack_examples, pack_rows
from customspec.inputs.splits import Splits
from customspec.prompts import ConversationTemplate, PromptTemplate, Row
from customspec.sandbox.templates import prompt_template
from customspec.source import parse
from customspec.spec import Prompt

FIELDS = {"text": "héllo \ud800 \u2028", "label": None, "deep": {"a": [1, 2.5, True, {"b": []}]}, "big": 10**40}
TURNS = [
    {"role": "system", "content": "s"},
    *[{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}] * 2,
]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MANY", 5)


def rows(count: int) -> list[Row]:
    return [Row(f"train:{one}", {**FIELDS, "number": one}, f"t.jsonl:{one}") for one in range(1, count + 1)]


@pytest.mark.parametrize("count", [0, 1, 5, 6, 40])
def test_rows_come_out_as_they_went_in(count: int) -> None:
    given = rows(count)
    found = pack_rows(iter(given))
    assert isinstance(found, Packed) == (count > packed.MANY)
    assert list(found) == given == [found[index] for index in range(len(found))]
    assert [list(row.fields) for row in found] == [list(row.fields) for row in given]


def test_it_is_a_sequence() -> None:
    given = rows(12)
    found = pack_rows(given)
    assert (found[-1], found[-12], found[2:9:3], found[20:]) == (given[-1], given[0], tuple(given[2:9:3]), ())
    assert (found.index(given[7]), given[3] in found, len(found)) == (7, True, 12)
    for outside in (12, -13):
        with pytest.raises(IndexError):
            found[outside]


@pytest.mark.parametrize(
    ("template", "fields"),
    [
        (prompt_template("{{ text }}", "{{ label }}", "be {{ mood }}"), {"text": "é", "label": "b", "mood": "short"}),
        (prompt_template("{{ text }}", "{{ label }}"), {"text": "a", "label": "b"}),
        (ConversationTemplate("turns"), {"turns": TURNS}),
    ],
)
def test_examples_come_out_as_they_went_in(template: PromptTemplate, fields: dict[str, object]) -> None:
    asked = pack_rows([Row(f"test:{one}", {**fields, "number": one}, "") for one in range(9)])
    given = template.render_all(asked)
    found = pack_examples(iter(given), asked)
    assert isinstance(found, Packed)
    assert list(found) == given
    assert [example.fields for example in found] == [example.fields for example in given]


def test_a_fault_far_behind_is_told_with_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompting, "AT_ONCE", 4)
    document = parse("prompt:\n  user: '{{ text }}'\n  answer: '{{ label }}'\n", "spec.yaml")
    given = [Row(f"train:{one}", {"text": "a", "label": "" if one == 11 else "b"}, f"t:{one}") for one in range(14)]
    problems = Problems(document)
    found = prompting.render_all(
        Prompt(user="{{ text }}", answer="{{ label }}"), Splits(train=pack_rows(given)), problems
    )
    assert found is None
    with pytest.raises(SpecError) as caught:
        problems.stop_if_any()
    assert [problem.message for problem in caught.value.problems] == ["t:11: the answer is empty"]


def test_they_are_small() -> None:
    given = [Row(f"train:{one}", {"text": f"{one}" * 5, "label": "b"}, f"t.jsonl:{one}") for one in range(1000)]
    found = pack_rows(given)
    assert isinstance(found, Packed)
    held = sys.getsizeof(found._text) + sys.getsizeof(found._ends)
    assert held < 90 * len(given)
