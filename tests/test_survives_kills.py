"""A run that is killed, or whose disk fails, at a chosen moment goes on to the same bytes."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import Killing

from support import Workspace

LORA = "techniques: [{lora: {r: 2, lora_dropout: 0.2, max_steps: 6, eval_steps: 2}}]"


@pytest.fixture
def killing(workspace: Workspace) -> Iterator[Killing]:
    workspace.spec(LORA)
    killing = Killing(workspace.root)
    yield killing
    killing.process.communicate()


def forget(root: Path) -> None:
    """An empty store; the headers of models are read already."""
    for name in ("objects", "runs", "checkpoints", "tmp", "locks"):
        shutil.rmtree(root / ".customspec" / name, ignore_errors=True)


def aged(root: Path) -> None:
    """What a killed process left is swept after a minute: this one passes at once."""
    for path in (root / ".customspec" / "tmp").iterdir():
        os.utime(path, (0, 0))


POINTS = {
    "mid step, with checkpoints": ("os.rename", 4, "checkpoints/"),
    "mid write of a checkpoint": ("open", 3, "optimizer.safetensors"),
    "before a checkpoint's rename": ("os.rename", 1, "checkpoints/"),
    "while a checkpoint is put on the disk": ("open", 2, "weights.safetensors"),
    "while an old checkpoint goes": ("os.remove", 2, "checkpoints/"),
    "mid publish": ("os.chmod", 1, "adapter_config.json"),
    "before the result's rename": ("os.rename", 3, "objects/"),
    "while the checkpoints of a finished training go": ("shutil.rmtree", 5, "checkpoints/"),
}
QUICK = ["mid write of a checkpoint", "before the result's rename"]


def survives(killing: Killing, root: Path, points: list[str]) -> None:
    code, expected = killing.run()
    assert code == 0
    assert expected
    for point in points:
        forget(root)
        code, _ = killing.run(*POINTS[point])
        assert code == -signal.SIGKILL, f"{point}: the kill did not happen"
        aged(root)
        code, found = killing.run()
        assert (code, found) == (0, expected), point
        assert list((root / ".customspec" / "tmp").iterdir()) == [], point
        assert not (root / ".customspec" / "checkpoints").exists(), point


@pytest.mark.slow
def test_killed_at_the_worst_moments_a_run_goes_on_to_the_same_bytes(killing: Killing, workspace: Workspace) -> None:
    survives(killing, workspace.root, QUICK)


@pytest.mark.faults
def test_killed_at_every_chosen_moment_a_run_goes_on_to_the_same_bytes(killing: Killing, workspace: Workspace) -> None:
    survives(killing, workspace.root, list(POINTS))


FIRST = ("00000001",)
# where a disk fails, and the checkpoints that are there by then
FAILING: dict[str, tuple[tuple[str, int, str], tuple[str, ...]]] = {
    "predictions": (("open", 1, "predictions.jsonl"), ()),
    "predictions, put on the disk": (("open", 2, "predictions.jsonl"), ()),
    "weights of a checkpoint, put on the disk": (("open", 1, "weights.safetensors"), ()),
    "a checkpoint's optimizer": (("open", 1, "optimizer.json"), ()),
    "the second checkpoint's rename": (("os.rename", 2, "checkpoints/"), FIRST),
    "an adapter, put on the disk": (("open", 2, "adapter_config.json"), FIRST),
    "the training's rename": (("os.rename", 3, "objects/"), ("00000005", "00000006")),
}
QUICKLY = ["predictions", "the second checkpoint's rename"]


def ends_and_goes_on(killing: Killing, root: Path, points: list[str], errors: list[int]) -> None:
    _, expected = killing.run()
    for point, error in itertools.product(points, errors):
        forget(root)
        failing, checkpoints = FAILING[point]
        assert killing.run(*failing, error) == (4, {}), f"{point}: {error}"
        assert list((root / ".customspec" / "tmp").iterdir()) == [], point
        kept = sorted(folder.name for folder in (root / ".customspec" / "checkpoints").glob("*/*"))
        assert kept == list(checkpoints), point
        assert killing.run() == (0, expected), point


@pytest.mark.slow
def test_a_disk_that_fails_under_predictions_and_checkpoints_ends_the_run_which_goes_on(
    killing: Killing, workspace: Workspace
) -> None:
    ends_and_goes_on(killing, workspace.root, QUICKLY, [errno.EIO])


@pytest.mark.faults
def test_a_disk_that_fails_under_any_chosen_file_ends_the_run_which_goes_on(
    killing: Killing, workspace: Workspace
) -> None:
    ends_and_goes_on(killing, workspace.root, list(FAILING), [errno.EIO, errno.ENOSPC])


@pytest.mark.faults
def test_killed_again_and_again_while_it_goes_on(killing: Killing, workspace: Workspace) -> None:
    _, expected = killing.run()
    forget(workspace.root)
    for event, number, suffix in [*POINTS.values(), *POINTS.values()]:
        killing.run(event, number, suffix)
    aged(workspace.root)
    assert killing.run() == (0, expected)
    assert list((workspace.root / ".customspec" / "tmp").iterdir()) == []
