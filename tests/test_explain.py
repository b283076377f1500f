"""`customspec explain`: every code has a text, its bad example ends with that code, its good one is right."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes import make_folder

from customspec.errors import Code
from customspec.report.explanations import explanations
from support import Ended, Workspace

BASE = {
    "customspec": "customspec: 1",
    "name": "name: colours",
    "base_model": "base_model: {path: model}",
    "data": "data: {train: train.jsonl, test: test.jsonl}",
    "prompt": 'prompt: {user: "{{ text }}", answer: "{{ label }}", choices: from_data}',
    "techniques": "techniques: [zero_shot]",
}
WHOLE = {Code.YAML_EMPTY, Code.YAML_NOT_MAPPING}
PLANNED = {Code.DEVICE_MISSING, Code.MEMORY}  # what depends on the machine is found where something is to run
Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, shared_headers: Path) -> Workspace:
    space = Workspace(tmp_path_factory.mktemp("explained"))
    (space.root / ".customspec").mkdir(mode=0o700)
    (space.root / ".customspec" / "headers").symlink_to(shared_headers)
    make_folder(space, tiny_folder)
    space.write("train.parquet", "not needed to be one")
    return space


@pytest.fixture
def inside(folder: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder.root)
    monkeypatch.syspath_prepend(folder.root / "plugins")
    for name in ("pyarrow", "pyarrow.parquet"):  # as where the extra is not installed, whatever came before
        monkeypatch.setitem(sys.modules, name, None)
    return folder.root


def ends(example: str, code: Code, run: Run) -> set[str]:
    """The codes that the example ends with; a command runs on the spec that is right."""
    command = re.fullmatch("customspec (.+)", example)
    sections = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    base = () if code in WHOLE else (line for key, line in BASE.items() if key not in sections)
    text = "\n".join((*base, "" if command else example))
    Path("spec.yaml").write_bytes(text.encode().replace(rb"\xe9", b"\xe9"))
    look = ("plan", "spec.yaml", "--device", "cpu") if code in PLANNED else ("validate", "spec.yaml")
    ended = run(*(command[1].split() if command else look))
    assert ended.code == 0 or ended.err
    return set(re.findall(r": (CS\d+) ", ended.err)) if ended.code else set()


def test_every_code_is_explained_in_order() -> None:
    assert list(explanations()) == sorted(Code)
    for explained in explanations().values():
        assert explained.title[0].islower()
        assert explained.text.endswith(".")


@pytest.mark.parametrize("code", list(Code))
def test_the_bad_example_ends_with_its_code_and_the_good_one_is_right(
    code: Code, inside: Path, customspec: Run
) -> None:
    explained = explanations()[code]
    others = {Code.UNKNOWN_METRIC} if code == Code.MORE_PROBLEMS else set[Code]()  # it comes behind fifty others
    assert ends(explained.bad, code, customspec) == {code, *others}
    assert ends(explained.good, code, customspec) == set()


def test_a_code_is_told_with_both_examples(customspec: Run) -> None:
    ended = customspec("explain", "cs201")
    assert ended.code == 0
    assert ended.out.startswith("CS201: an unknown key\n\n")
    assert "wrong:\n\n    techniques:\n      - lora: {lr: 1e-3, rank: 8}\n\nright:\n" in ended.out
    assert customspec("explain", "CS201", "--json").json["code"] == "CS201"


def test_without_a_code_all_are_listed(customspec: Run) -> None:
    assert len(customspec("explain").out.splitlines()) == len(Code) == len(customspec("explain", "--json").json)


@pytest.mark.parametrize(("code", "said"), [("CS210", "did you mean CS"), ("E501", "no code E501")])
def test_an_unknown_code_is_a_mistake_of_the_command_line(code: str, said: str, customspec: Run) -> None:
    ended = customspec("explain", code)
    assert ended.code == 2
    assert said in ended.err
