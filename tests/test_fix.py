"""`customspec validate --fix`: keys that can only be one other are renamed, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.cli.fixing import replace
from customspec.errors import RefusedError
from customspec.suggest import certain
from support import Ended, Workspace

Run = Callable[..., Ended]

BEFORE = """\
# my first spec
version: 1          # the format
name: "colours"
Model:   {path: model}   # a folder
dataset: {train: train.jsonl,   test: test.jsonl}

prompt:
    system-prompt: 'lr: is not a key here'
    user: "{{ text }}"      # rank: 3
    answer: "{{ label }}"
    labels: [warm, cold]
methods:
  - {id: a,   "LoRA": {lr: 1e-3, rank: 8, 'n_epochs': 1}}
  - few-shot: {k: 2}
metrics: [{id: m, macro-f1: {}}]
"""
AFTER = """\
# my first spec
customspec: 1          # the format
name: "colours"
base_model:   {path: model}   # a folder
data: {train: train.jsonl,   test: test.jsonl}

prompt:
    system: 'lr: is not a key here'
    user: "{{ text }}"      # rank: 3
    answer: "{{ label }}"
    choices: [warm, cold]
techniques:
  - {id: a,   "lora": {learning_rate: 1e-3, r: 8, 'num_train_epochs': 1}}
  - few_shot: {shots: 2}
metrics: [{id: m, macro_f1: {}}]
"""


@pytest.fixture
def root(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace.root)
    return workspace.root


def test_certain_keys_are_renamed_where_they_stand(root: Path, customspec: Run) -> None:
    Path("spec.yaml").write_text(BEFORE)
    fixed = customspec("validate", "--fix", "spec.yaml")
    assert Path("spec.yaml").read_text() == AFTER
    assert (fixed.code, fixed.out) == (0, "spec.yaml: valid\n")
    assert "-version: 1          # the format\n+customspec: 1          # the format\n" in fixed.err


def test_a_second_time_there_is_nothing_to_do(root: Path, customspec: Run) -> None:
    Path("spec.yaml").write_text(AFTER)
    written = Path("spec.yaml").stat().st_ino
    assert customspec("validate", "--fix", "spec.yaml") == Ended(0, "spec.yaml: valid\n", "")
    assert Path("spec.yaml").stat().st_ino == written


@pytest.mark.parametrize(
    "techniques",
    [
        "[{lora: {lr: 1e-3, learning_rate: 1e-4}}]",  # the right key is there
        "[{lora: {lr: 1e-3, learning-rate: 1e-4}}]",  # two for one
        "[{lora: {alhpa: 16}}]",  # two slips away
        "[{few_shot: {examples: 2}}]",  # likely, not certain
        "[zero-shot]",  # a value
        "[{lora: {rank: eight, r: 8}}]",
    ],
)
def test_what_is_not_certain_stays(root: Path, customspec: Run, workspace: Workspace, techniques: str) -> None:
    spec = workspace.spec(f"techniques: {techniques}")
    before = spec.read_bytes()
    fixed = customspec("validate", "--fix", "spec.yaml")
    assert fixed.code == 2
    assert spec.read_bytes() == before
    assert fixed == customspec("validate", "spec.yaml")


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_every_other_byte_stays(root: Path, customspec: Run, workspace: Workspace, end: bytes) -> None:
    spec = workspace.spec("techniques: [{lora: {lr: 1e-3}}]   # größe \t")
    before = b"\xef\xbb\xbf" + spec.read_bytes().replace(b"\n", end)
    spec.write_bytes(before)
    spec.chmod(0o640)
    assert customspec("validate", "--fix", "spec.yaml").code == 0
    assert spec.read_bytes() == before.replace(b"lr:", b"learning_rate:")
    assert spec.stat().st_mode & 0o777 == 0o640


def test_the_rest_is_still_told(root: Path, customspec: Run, workspace: Workspace) -> None:
    workspace.spec("techniques: [{lora: {lr: fast}}]")
    fixed = customspec("validate", "--fix", "spec.yaml")
    assert fixed.code == 2
    assert "+techniques: [{lora: {learning_rate: fast}}]" in fixed.err
    assert 'CS203 `learning_rate` must be a number; found text "fast"' in fixed.err


def test_a_link_is_followed(root: Path, customspec: Run, workspace: Workspace) -> None:
    target = workspace.spec("techniques: [{lora: {rank: 4}}]", name="target.yaml")
    Path("spec.yaml").symlink_to("target.yaml")
    assert customspec("validate", "--fix", "spec.yaml").code == 0
    assert Path("spec.yaml").is_symlink()
    assert "r: 4" in target.read_text()


def test_a_file_that_changed_meanwhile_is_left_alone(root: Path) -> None:
    Path("spec.yaml").write_text("now: this")
    with pytest.raises(RefusedError, match="changed while it was checked"):
        replace(Path("spec.yaml"), b"then: that", b"after: all")
    assert [path.read_text() for path in root.glob("*spec.yaml*")] == ["now: this"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a: [", b"- a", b"lr: 1\n" * 3])
def test_what_is_no_spec_is_told_and_left(root: Path, customspec: Run, content: bytes) -> None:
    Path("spec.yaml").write_bytes(content)
    assert customspec("validate", "--fix", "spec.yaml") == customspec("validate", "spec.yaml")
    assert Path("spec.yaml").read_bytes() == content
    assert customspec("validate", "--fix", "nothing.yaml").code == 2


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("Lora-Alpha", ["lora_alpha", "r"], "lora_alpha"),
        ("loraAlpha", ["lora_alpha", "r"], "lora_alpha"),
        ("rank", ["lora_alpha", "r"], "r"),
        ("lora_alhpa", ["lora_alpha", "r"], "lora_alpha"),
        ("shot", ["shots", "select"], "shots"),
        ("shotss", ["shots", "select"], "shots"),
        ("shits", ["shots", "select"], "shots"),
        ("alhpa", ["lora_alpha"], None),
        ("tets", ["test", "text"], "test"),
        ("tet", ["test", "text"], None),
        ("k", ["r"], None),
        ("", ["r"], None),
    ],
)
def test_what_is_certain(name: str, known: list[str], meant: str | None) -> None:
    assert certain(name, known) == meant
