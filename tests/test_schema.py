"""The JSON Schema is the one in the repository, and agrees with what validates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import Field

from customspec.registry import discover
from customspec.schema import options_table, spec_schema
from customspec.source import parse
from customspec.spec import Options, Texts
from customspec.spec.described import Described, descriptions

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
FIRST_LINE = "# yaml-language-server: $schema=../schemas/customspec.schema.json"

GOOD: dict[str, Any] = {
    "customspec": 1,
    "name": "a",
    "base_model": {"path": "m"},
    "data": {"test": "t.jsonl"},
    "prompt": {"user": "u", "answer": "a"},
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return spec_schema(discover())


@pytest.fixture(scope="module")
def checker(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_in_the_repository_is_current(schema: dict[str, Any]) -> None:
    kept = json.loads((ROOT / "schemas" / "customspec.schema.json").read_text(encoding="utf-8"))
    assert kept == schema, "the schema is stale; mend it with: make schema"


def test_there_are_eight_specs() -> None:
    assert [path.stem for path in SPECS] == [
        "chain_of_thought",
        "chat",
        "ladder",
        "marketing",
        "meetings",
        "quickstart",
        "summarize",
        "two_languages",
    ]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_fits_the_schema_and_names_it(path: Path, checker: jsonschema.Draft202012Validator) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == FIRST_LINE
    checker.validate(dict(parse(text, path.name).data))


@pytest.mark.parametrize(
    "techniques",
    [
        None,
        ["lora"],
        [{"lora": None}],
        [{"lora": {"r": 4, "target_modules": ["q_proj"]}}],
        [{"id": "x", "full": {"learning_rate": 1e-5}, "prompting": {"few_shot": {"shots": 2}}, "seeds": [1, 2]}],
    ],
)
def test_right_techniques_fit(techniques: object, checker: jsonschema.Draft202012Validator) -> None:
    assert not list(checker.iter_errors({**GOOD, "techniques": techniques}))


@pytest.mark.parametrize(
    "techniques",
    [
        [],
        ["lorra"],
        [{"lora": {"rank": 4}}],
        [{"lora": {}, "full": {}}],
        [{"id": "x"}],
        [{"lora": {"r": "4"}}],
        [{"lora": {}, "seed": 1}],
    ],
)
def test_wrong_techniques_do_not(techniques: object, checker: jsonschema.Draft202012Validator) -> None:
    assert list(checker.iter_errors({**GOOD, "techniques": techniques}))


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        ["accuracy"],
        ["rougeL", {"accuracy": None}, {"bleu": {"lowercase": True}}],
        [{"id": "number", "regex": {"pattern": "[0-9]+"}}, {"regex": {"pattern": "a", "match": "part"}}],
        [{"json_schema": {"against": {"type": "object"}}}],
    ],
)
def test_right_metrics_fit(metrics: object, checker: jsonschema.Draft202012Validator) -> None:
    assert not list(checker.iter_errors({**GOOD, "metrics": metrics}))


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        ["acuracy"],
        ["regex"],
        [{"regex": None}],
        [{"regex": {}}],
        [{"regex": {"pattern": 1}}],
        [{"accuracy": {"normalize": True}}],
        [{"accuracy": {}, "macro_f1": {}}],
        [{"id": "a"}],
        [{"id": "a b", "accuracy": {}}],
    ],
)
def test_wrong_metrics_do_not(metrics: object, checker: jsonschema.Draft202012Validator) -> None:
    assert list(checker.iter_errors({**GOOD, "metrics": metrics}))


def test_every_option_of_every_plugin_is_described(schema: dict[str, Any]) -> None:
    bare = [
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field, content in definition.get("properties", {}).items()
        if not content.get("description")
    ]
    assert bare == []


class SomeOptions(Options):
    depth: int = Field(ge=1, le=9)
    """How deep."""
    share: float | None = Field(None, gt=0, lt=1)
    """How much."""
    names: Texts = ("a",)
    """Which."""


def test_an_option_is_told_with_type_default_and_limits() -> None:
    assert [list(row.values()) for row in options_table(SomeOptions)] == [
        ["depth", "integer", True, None, ["at least 1", "at most 9"], "How deep."],
        ["share", "number", False, None, ["above 0", "below 1"], "How much."],
        ["names", "list of string", False, ["a"], ["at least 1 in number"], "Which."],
    ]


class Base(Options):
    kept: int = 1
    """As the base has it."""
    anew: int = 2
    """What the base says."""
    told: int = Field(3, description="By the field itself.")
    """Not this."""


class Derived(Base):
    anew: int = 3
    more: int = 4
    """In two
    lines."""
    bare: int = 5


def test_a_fields_docstring_is_its_description() -> None:
    """As pydantic's own `use_attribute_docstrings`, which reads them at every import."""
    known = {"kept": "As the base has it.", "told": "By the field itself."}
    assert descriptions(Base) == {**known, "anew": "What the base says."}
    assert descriptions(Derived) == {**known, "more": "In two\nlines."}
    fields = Derived.model_json_schema()["properties"]
    assert {name: field.get("description") for name, field in fields.items()} == {
        **known,
        "anew": None,
        "more": "In two\nlines.",
        "bare": None,
    }


def test_a_class_without_source_has_no_descriptions() -> None:
    made = type("Made", (Described,), {"__annotations__": {"a": int}, "__module__": __name__})
    assert descriptions(made) == {}


def test_a_class_within_a_function_is_described_too() -> None:
    class Inner(Options):
        here: int = 1
        """Found all the same."""

    assert descriptions(Inner) == {"here": "Found all the same."}
