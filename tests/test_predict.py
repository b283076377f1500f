"""`customspec predict` as a person meets it: rows from a file or a pipe, and rows that cannot be asked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.cli import main
from support import Ended, Workspace, colours, make_model
from support import run as run_of

Command = Callable[..., Ended]
Pipe = Callable[[bytes], None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The folder of a run of two prompting candidates."""
    space = Workspace(tmp_path_factory.mktemp("predict"))
    (space.root / "model").symlink_to(tiny_folder)
    for name, count, start in (("train", 12, 0), ("validation", 4, 100), ("test", 4, 200)):
        space.rows(f"{name}.jsonl", colours(count, start))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(space.spec("techniques: [zero_shot, {few_shot: {shots: 2}}]"))])
    assert ended.value.code == 0
    return space.root / ".customspec" / "runs" / "colours-0001"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Bytes on stdin."""
    return lambda data: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def answers(ended: Ended) -> list[Any]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def test_files_of_every_kind_and_a_pipe_are_answered_alike(
    run: Path, tmp_path: Path, customspec: Command, pipe: Pipe
) -> None:
    rows = [{"text": "number 3 is teal", "more": "1"}, {"text": "number 4 is red", "more": "2"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "new.jsonl").write_text(lines)
    (tmp_path / "new.json").write_text(json.dumps(rows))
    (tmp_path / "new.csv").write_text("text,more\nnumber 3 is teal,1\nnumber 4 is red,2\n")
    given = answers(customspec("predict", run, tmp_path / "new.jsonl", "--candidate", "few_shot@0"))
    assert [{"text": row["text"], "more": row["more"]} for row in given] == rows
    assert {row["prediction"] for row in given} <= {"cold", "warm"}
    assert all(sum(row["probabilities"].values()) == pytest.approx(1) for row in given)
    for name in ("new.json", "new.csv"):
        assert answers(customspec("predict", run, tmp_path / name, "--candidate", "few_shot@0", "--json")) == given
    for more in ((), ("-",)):
        pipe(lines.encode())
        assert answers(customspec("predict", run, *more, "--candidate", "few_shot")) == given
    out = tmp_path / "answers.jsonl"
    assert customspec("predict", run, tmp_path / "new.csv", "--candidate", "few_shot", "--out", out).out == ""
    assert [json.loads(line) for line in out.read_text().splitlines()] == given


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"text": "a"}\n{"txt": "b"}\n', "stdin:2: the prompt needs the column `text`"),
        (b'{"text": "a"}\n{bad\n', "stdin:2:2: not JSON"),
        (b"[1]\n", "stdin:1:1: expected an object on each line"),
        (b'\n{"text": "\xff"}\n', "stdin:2:11: byte 0xFF is not UTF-8"),
        (b'{"text": "' + b"x" * 600 + b'"}\n', "stdin:1: it needs 651 tokens; the model's context holds 512"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(
    run: Path, customspec: Command, pipe: Pipe, data: bytes, message: str
) -> None:
    pipe(data)
    ended = customspec("predict", run, "--candidate", "zero_shot")
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_a_fault_in_a_file_has_its_line_and_what_to_do(run: Path, tmp_path: Path, customspec: Command) -> None:
    file = tmp_path / "new.csv"
    file.write_text("text,more\na,1\nb\n")
    ended = customspec("predict", run, file, "--candidate", "zero_shot")
    assert ended.code == 2
    assert f"{file}:3" in ended.err
    ended = customspec("predict", run, tmp_path / "new.cvs", "--candidate", "zero_shot")
    assert ended.code == 2
    assert "did you mean" in ended.err


def test_nothing_asked_is_nothing_answered(run: Path, customspec: Command, pipe: Pipe) -> None:
    pipe(b"")
    assert answers(customspec("predict", run, "--candidate", "zero_shot")) == []


def test_a_candidate_that_is_none_is_answered_by_those_that_are(run: Path, customspec: Command, pipe: Pipe) -> None:
    pipe(b"")
    ended = customspec("predict", run, "--candidate", "lora")
    assert ended.code == 2
    assert "this run has no candidate lora; it has: zero_shot@0, few_shot@0" in ended.err


def test_a_changed_model_is_refused_by_predict(workspace: Workspace, customspec: Command) -> None:
    make_model(workspace.root / "own")
    text = workspace.spec("techniques: [zero_shot]").read_text().replace("{path: model}", "{path: own}")
    document = run_of(customspec, workspace.write("spec.yaml", text))
    config = workspace.root / "own" / "config.json"
    config.write_text(config.read_text() + " ")
    ended = customspec("predict", workspace.run_folder(document), workspace.root / "test.jsonl")
    assert ended.code == 5
    assert "the model own changed after the plan was made" in ended.err


class TestARunOfItsOwn:
    """A prompted and a trained candidate, asked the rows that the run evaluated."""

    @pytest.fixture
    def folder(self, workspace: Workspace, customspec: Command) -> Path:
        document = run_of(
            customspec, workspace.spec("techniques: [{few_shot: {shots: 2}}, {lora: {r: 2, max_steps: 2}}]")
        )
        return workspace.run_folder(document)

    @pytest.mark.parametrize("key", ["few_shot@0", "lora@0"])
    def test_gives_the_answers_that_were_evaluated(
        self, folder: Path, workspace: Workspace, customspec: Command, key: str
    ) -> None:
        ended = customspec("predict", folder, workspace.root / "test.jsonl", "--candidate", key)
        assert ended.code == 0, ended.err
        given = [json.loads(line) for line in ended.out.splitlines()]
        file = folder / "candidates" / key / "predictions" / "test" / "predictions.jsonl"
        kept = [json.loads(line) for line in file.read_text().splitlines()]
        assert [row["prediction"] for row in given] == [row["prediction"] for row in kept]
        assert [row["probabilities"] for row in given] == [row["probabilities"] for row in kept]
        assert [row["text"] for row in given] == [row["text"] for row in colours(12, 200)]

    def test_names_a_column_that_is_missing(self, folder: Path, workspace: Workspace, customspec: Command) -> None:
        rows = workspace.rows("new.jsonl", [{"words": "red"}])
        ended = customspec("predict", folder, rows)
        assert ended.code == 2
        assert "needs the column `text`" in ended.err

    def test_refuses_what_is_no_run(self, workspace: Workspace, customspec: Command) -> None:
        assert customspec("predict", workspace.root).code == 2
