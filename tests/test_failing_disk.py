"""A disk that is full, or fails, at the very write of answers, predictions, checkpoints, artifacts: told with the path,
and nothing of it is published."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from customspec.runners.kinds import evaluate, train
from customspec.store import Checkpoints
from support import Ended, Workspace

Command = Callable[..., Ended]
Broken = Callable[[str, str, str], AbstractContextManager[None]]

DISKS = {
    "/dev/full": "no space is left",
    "/proc/self/mem": "the disk fails to read or write",
    "a limit": "a file may not grow so large",
}
"""What takes no byte, or not more than two thousand, and what is told of it."""
THERE = [disk for disk in DISKS if disk == "a limit" or Path(disk).exists()]


@contextmanager
def failing(disk: str, file: Path) -> Iterator[None]:
    """The file is on that disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if disk == "a limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    else:
        file.symlink_to(disk)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    """For as long as the `with` block, the file of this name is on a disk that fails: of steps, or of checkpoints."""

    def breaking(fill: Callable[..., Any], disk: str, name: str) -> Callable[..., Any]:
        def filling(*arguments: Any) -> Any:
            with failing(disk, arguments[-1] / name):  # the last is the folder
                return fill(*arguments)

        return filling

    @contextmanager
    def broken(disk: str, what: str, name: str) -> Iterator[None]:
        write = Checkpoints.write
        with monkeypatch.context() as patch:
            if what == "checkpoint":
                patch.setattr(
                    Checkpoints, "write", lambda self, number, fill: write(self, number, breaking(fill, disk, name))
                )
            else:
                kind = {"train": train, "evaluate": evaluate}[what]
                patch.setattr(kind, "run", breaking(kind.run, disk, name))
            yield

    return broken


@pytest.fixture(autouse=True)
def _here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)


@pytest.mark.parametrize(
    ("disk", "what", "name"),
    [
        *((disk, "evaluate", "predictions.jsonl") for disk in THERE),
        *((disk, "checkpoint", "optimizer.json") for disk in THERE),  # under the limit, already the weights
        ("a limit", "train", "adapter_model.safetensors"),
    ],
)
def test_what_is_made_in_the_store_is_whole_or_not_there(
    workspace: Workspace, customspec: Command, broken: Broken, disk: str, what: str, name: str
) -> None:
    technique = "zero_shot" if what == "evaluate" else "{lora: {r: 2, max_steps: 2}}"
    command = ("run", workspace.spec(f"techniques: [{technique}]"), "--json", "--checkpoint-minutes", "0")
    with broken(disk, what, name):
        ended = customspec(*command)
    assert ended.code == 4, ended.err
    (candidate,) = ended.json["candidates"]
    assert (candidate["status"], candidate["artifact"]) == ("failed", None)
    assert DISKS[disk] in candidate["reason"]
    assert "bytes free" in candidate["reason"]
    assert str(workspace.root / ".customspec") in candidate["reason"]
    assert "Traceback" not in ended.err
    failed = [id for id, one in ended.json["steps"].items() if one["status"] == "failed"]
    assert {id.partition(":")[0] for id in failed} == {"evaluate" if what == "evaluate" else "train"}
    assert list((workspace.root / ".customspec" / "tmp").iterdir()) == []
    assert list((workspace.root / ".customspec" / "runs" / ended.json["run"]).glob("candidates/*")) == []
    again = customspec(*command)
    assert again.code == 0, again.err
    assert not (workspace.root / ".customspec" / "checkpoints").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_answers_that_cannot_be_written_are_told(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    assert customspec("run", spec).code == 0
    for arguments in (
        ("predict", spec, "test.jsonl", "--out", "/dev/full"),
        ("report", spec, "--out", "/dev/full"),
        ("plan", spec, "--out", "/dev/full"),
    ):
        ended = customspec(*arguments)
        assert ended.code == 4, ended.err
        assert "error: /dev/full: no space is left" in ended.err
        assert "name another file with --out" in ended.err


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    assert customspec("run", spec).code == 0
    out = workspace.write("answers.jsonl", "of before\n")
    out.chmod(0o640)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fails)
        ended = customspec("predict", spec, "test.jsonl", "--out", out)
    assert (ended.code, out.read_text()) == (4, "of before\n")
    assert f"error: {out}: no space is left" in ended.err
    assert customspec("predict", spec, "test.jsonl", "--out", out).code == 0
    assert len(out.read_text().splitlines()) == 12
    assert out.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in workspace.root.iterdir() if path.suffix == ".tmp"] == []
