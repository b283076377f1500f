"""Whatever a person writes, however wrong: a valid spec, or problems that are told; quickly and in little memory.

The long forms are marked `faults`: `pytest -m faults tests/test_fuzz.py`.
"""

from __future__ import annotations

import copy
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customspec.cli.roots import roots_of
from customspec.compiler import compile_document, read_spec
from customspec.errors import Exit, SpecError
from customspec.prompts import TemplateError
from customspec.registry import Registry, discover
from customspec.sandbox.templates import Sandboxed
from customspec.source import Document, parse, read
from customspec.spec import RESERVED, Spec
from support import Workspace, make_model

SPECS = sorted(Path(__file__).parents[1].glob("specs/*.yaml"))
CPU = 1.0  # seconds
MEMORY = 200 * 2**20  # bytes that this process may grow by, over all examples

WORDS = "customspec name base_model data train test prompt user answer techniques lora r goal path hub seeds metrics"
INDENTED = st.sampled_from([f"{'  ' * depth}{word}" for depth in range(3) for word in WORDS.split()])
MARKS = [
    *":-#?,[]{}&*!|>'\"%@`\n\t \r\0",
    ": ",
    "- ",
    "\n  ",
    "\n- ",
    "{{",
    "}}",
    "<<",
    "---\n",
    "!!python/name:os.x",
    "\ufeff",
]
YAML = st.lists(st.sampled_from(MARKS) | INDENTED | st.text(max_size=4), max_size=30).map("".join)

VALUES: list[Any] = [
    "",
    "x",
    "{{ text }}",
    0,
    3,
    -1,
    2.5,
    10**19,
    1e308,
    True,
    None,
    [],
    {},
    [1],
    {"a": 1},
    [[]],
    ["x", "x"],
]
KEYS = sorted({*Spec.model_fields, *RESERVED, *WORDS.split(), "lora", "zero_shot", "few_shot", "shots", "split", ""})
TREES = st.recursive(
    st.sampled_from(VALUES) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), inner, max_size=6)
    ),
    max_leaves=25,
)

TAGS = "{{ }} {% %} {# #} for in endfor if endif set macro endmacro call filter raw block text words range"
SIGNS = "| . ( ) [ ] ' ~ * ** 9"
TEMPLATES = st.lists(st.sampled_from([*TAGS.split(), *SIGNS.split()]) | st.text(max_size=3), max_size=20).map(" ".join)
FIELDS = {"text": "hello", "words": ["one", "two"], "number": 3}

Steps = tuple[int, int, int, int]
CHANGES = st.lists(st.tuples(*[st.integers(0, 10**6)] * 4), min_size=1, max_size=3)


def quick(examples: int) -> settings:
    return settings(derandomize=True, max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def long(examples: int) -> settings:
    return settings(quick(examples), derandomize=False)


@pytest.fixture(scope="module", autouse=True)
def little_memory() -> Iterator[None]:
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < MEMORY


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


@contextmanager
def quickly() -> Iterator[None]:
    """What is done inside takes less than a second of computing."""
    began = time.process_time()
    yield
    assert time.process_time() - began < CPU


def told_or_read(text: str) -> Document | None:
    """The document, or None where there are problems, each at a place in the text."""
    try:
        with quickly():
            return parse(text, "spec.yaml")
    except SpecError as error:
        check_problems(error, text)
        return None


def check_problems(error: SpecError, text: str | None = None) -> None:
    assert error.problems
    assert all(one.message and "Traceback" not in one.message for one in error.problems)
    places = [one.location for one in error.problems]
    lines = sys.maxsize if text is None else text.count("\n") + text.count("\r") + 1
    assert all(1 <= place.line <= lines and place.column >= 1 for place in places)


def told_or_valid(work: Callable[[], object], *exits: Exit) -> None:
    try:
        with quickly():
            work()
    except SpecError as error:
        check_problems(error)
        if error.exit not in exits:
            raise


def check_envelope(tree: Any, registry: Registry) -> None:
    document = told_or_read(json.dumps(tree))
    if document is not None:
        told_or_valid(lambda: read_spec(document, registry), Exit.BAD_INPUT, Exit.ENVIRONMENT)


def check_template(source: str) -> None:
    try:
        filled = Sandboxed(source).render(FIELDS)
    except TemplateError as error:
        assert str(error)  # noqa: PT017  # either end is right
        assert error.line >= 1  # noqa: PT017
    else:
        assert isinstance(filled, str)


# --- mutations of the specs that ship


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_headers: Path) -> Path:
    """The example specs' data, a few rows of each file, and a tiny model."""
    space = Workspace(tmp_path_factory.mktemp("mutations"))
    make_model(space.root / "model", max_position_embeddings=8192)  # the examples' rows fit, a byte being a token
    (space.root / ".customspec").mkdir(mode=0o700)
    (space.root / ".customspec" / "headers").symlink_to(shared_headers)
    for file in (SPECS[0].parent / "data").rglob("*.jsonl"):
        rows = file.read_text().splitlines()[:40]
        space.write(str(file.relative_to(SPECS[0].parent)), "\n".join(rows) + "\n")
    return space.root


def original(spec: Path) -> Any:
    data = copy.deepcopy(dict(read(spec).data))
    return {**data, "base_model": {"path": "model"}, "data": {**data["data"], "on_long": "drop"}}


def mappings(tree: Any) -> list[dict[str, Any]]:
    """Every mapping of a tree that has a key."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [*([tree] if isinstance(tree, dict) and tree else []), *(one for value in inside for one in mappings(value))]


def change(tree: Any, steps: Steps) -> None:
    """Drop, rename, retype or move one key."""
    kind, where, which, what = steps
    places = mappings(tree)
    if not places:
        return
    place = places[where % len(places)]
    key = sorted(place)[which % len(place)]
    value = place[key] if kind % 4 == 2 else place.pop(key)
    if kind % 4 == 1:
        place[(key[1:] or "k") if what % 2 else KEYS[what % len(KEYS)]] = value
    if kind % 4 == 2:
        place[key] = copy.deepcopy(VALUES[what % len(VALUES)])  # later changes go into it
    if kind % 4 == 3:
        target = places[what % len(places)]
        target[key] = None if target in mappings(value) else value


def check_mutation(spec: Path, changes: list[Steps], folder: Path, registry: Registry) -> None:
    tree = original(spec)
    for steps in changes:
        change(tree, steps)
    document = told_or_read(json.dumps(tree))
    assert document is not None
    cache, roots = folder / ".customspec", roots_of(folder / "spec.yaml")
    told_or_valid(
        lambda: compile_document(document, registry, roots=roots, cache=cache), Exit.BAD_INPUT, Exit.ENVIRONMENT
    )


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_spec_is_valid_before_it_is_changed(spec: Path, folder: Path, registry: Registry) -> None:
    document = parse(json.dumps(original(spec)), "spec.yaml")
    compile_document(document, registry, roots=roots_of(folder / "spec.yaml"), cache=folder / ".customspec")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
@quick(15)
@given(changes=CHANGES)
def test_a_changed_spec_is_told_or_valid(spec: Path, changes: list[Steps], folder: Path, registry: Registry) -> None:
    check_mutation(spec, changes, folder, registry)


@quick(300)
@given(YAML)
def test_any_text_is_told_or_read(text: str) -> None:
    told_or_read(text)


@quick(150)
@given(TREES)
def test_any_tree_is_told_or_valid(registry: Registry, tree: Any) -> None:
    check_envelope(tree, registry)


@quick(150)
@given(TEMPLATES)
def test_any_template_is_told_or_filled(source: str) -> None:
    check_template(source)


@pytest.mark.faults
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
@long(400)
@given(changes=CHANGES)
def test_many_changed_specs(spec: Path, changes: list[Steps], folder: Path, registry: Registry) -> None:
    check_mutation(spec, changes, folder, registry)


@pytest.mark.faults
@long(20_000)
@given(YAML | st.text())
def test_many_texts(text: str) -> None:
    told_or_read(text)


@pytest.mark.faults
@long(5_000)
@given(TREES)
def test_many_trees(registry: Registry, tree: Any) -> None:
    check_envelope(tree, registry)


@pytest.mark.faults
@long(5_000)
@given(TEMPLATES | st.text())
def test_many_templates(source: str) -> None:
    check_template(source)
