"""A run that is stopped, starved of disk, fed NaN or given to a nasty plugin loses nothing that was finished."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_endings import BROKEN, install

from customspec.machine import detect
from customspec.plan import Plan
from customspec.store import Store, store_key
from support import Ended, Workspace

Command = Callable[..., Ended]

# --- stopped


def test_an_interrupted_run_writes_its_folder_and_says_how_to_go_on(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(workspace.root / "site", "stops", STOPS)
    monkeypatch.syspath_prepend(workspace.root / "site")
    monkeypatch.chdir(workspace.root)
    workspace.spec("techniques: [zero_shot, stops]")
    ended = customspec("run", "spec.yaml", "--json")
    assert ended.code == 143
    assert ended.out == ""
    assert "run the same command again to continue: customspec run spec.yaml --json" in ended.err
    [folder] = (workspace.root / ".customspec" / "runs").iterdir()
    results = json.loads((folder / "results.json").read_text())
    assert {c["key"]: (c["status"], c["reason"]) for c in results["candidates"]} == {
        "zero_shot@0": ("done", None),
        "stops@0": ("skipped", "the run was interrupted"),
    }
    assert (folder / "candidates" / "zero_shot@0" / "predictions").is_dir()
    assert results["decision"]["chosen"] is None


STOPS = BROKEN.replace("breaks", "stops").replace(
    'raise RuntimeError("no luck today")', "__import__('os').kill(__import__('os').getpid(), 15)"
)


# --- NaN


WILD = """
import math
from customspec.hookspecs import hookimpl
from customspec_tuning.lora import Lora

class Wild(Lora):
    name = "wild"
    def after_step(self, options, model, step):
        if step == 2:
            next(p for p in model.parameters() if p.requires_grad).data[0, 0] = math.inf

@hookimpl
def customspec_techniques(): return [Wild()]
"""


def test_a_candidate_that_breaks_fails_with_its_step_and_rows_and_others_go_on(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(workspace.root / "site", "wild", WILD)
    monkeypatch.syspath_prepend(workspace.root / "site")
    spec = workspace.spec("techniques: [{wild: {r: 2, max_steps: 4}}, zero_shot]")
    for _ in range(2):  # what is kept of the first time does not help it past the step
        ended = customspec("run", spec, "--json", "--checkpoint-minutes", "0")
        assert ended.code == 1
        wild, zero = ended.json["candidates"]
        assert (wild["status"], wild["artifact"]) == ("failed", None)
        assert zero["status"] in {"done", "cached"}
        assert re.search(r"the weight \S+ is not finite after step 2, in the batch of train:\d+", wild["reason"])
        assert [p.name for p in (workspace.root / ".customspec" / "checkpoints").glob("*/*")] == ["00000001"]


# --- disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def filled(folder: Path, left: int) -> Path:
    """A file that leaves so many bytes free."""
    ballast = folder / "ballast"
    free = shutil.disk_usage(folder).free
    ballast.write_bytes(bytes(max(0, free - left)))
    return ballast


@pytest.mark.parametrize("left", [0, 40_000, 200_000])
def test_a_full_disk_ends_with_4_names_the_place_and_tears_nothing(
    workspace: Workspace, customspec: Command, small_disk: Path, tiny_header: Path, left: int
) -> None:
    spec = workspace.spec("techniques: [{full: {max_steps: 2}}]")
    store = small_disk / "store"
    shutil.copytree(tiny_header, store / "headers")
    ballast = filled(small_disk, left)
    ended = customspec("run", spec, "--store", store, "--checkpoint-minutes", "0")
    assert ended.code == 4, ended.err
    err = ended.out + ended.err
    assert "no space is left" in err
    assert "bytes free" in err
    assert str(store) in err.replace("\n", "")
    assert "Traceback" not in ended.err
    ballast.unlink()
    again = customspec("run", spec, "--store", store, "--json")
    assert again.code == 0, again.err
    assert list((store / "tmp").iterdir()) == []
    assert not (store / "checkpoints").exists()


# --- plugins


NASTY = """
import os, torch
from customspec.hookspecs import hookimpl
from customspec_tuning.lora import Lora

class Nasty(Lora):
    name = "nasty"
    def after_step(self, options, model, step):
        print("hello from the plugin")
        os.chdir("/")
        torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(1 + torch.get_num_threads())

@hookimpl
def customspec_techniques(): return [Nasty()]
"""


def test_what_a_plugin_changes_for_everybody_is_put_back_and_named(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    install(workspace.root / "site", "nasty", NASTY)
    monkeypatch.syspath_prepend(workspace.root / "site")
    options = "{r: 2, lora_dropout: 0.3, max_steps: 3, learning_rate: 0.01}"
    spec = workspace.spec(f"techniques: [{{nasty: {options}}}, {{lora: {options}}}]")
    before = Path.cwd(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    ended = customspec("run", spec, "--json")
    assert ended.code == 0, ended.err
    assert (Path.cwd(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()) == before
    assert not torch.are_deterministic_algorithms_enabled()
    assert "hello from the plugin" in ended.err
    err = next(line for line in ended.err.splitlines() if line.startswith("technique `nasty` changed "))
    for thing in ("the working directory", "default dtype", "gradient mode", "threads", "deterministic", "seed"):
        assert thing in err
    folder = workspace.run_folder(ended.json) / "candidates"
    nasty, lora = ((folder / key / "adapter_model.safetensors").read_bytes() for key in ("nasty@0", "lora@0"))
    assert nasty == lora, "the other training went the same way"


# --- two at once


def test_the_second_of_two_is_told_who_holds_the_step_since_when_and_waits(
    workspace: Workspace, customspec: Command
) -> None:
    out = workspace.root / "plan.json"
    spec = workspace.spec("techniques: [zero_shot]")
    assert customspec("plan", spec, "--out", out).code == 0
    step = Plan.from_json(json.loads(out.read_text())).step("data")
    store = Store(workspace.root / ".customspec")
    held, waited_for = threading.Event(), Waiting()

    def hold() -> None:
        with store.lock(store_key(step.fingerprint, detect().key())):
            held.set()
            waited_for.event.wait(300)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    logging.getLogger("customspec").addHandler(waited_for)
    try:
        ended = customspec("run", spec)
    finally:
        waited_for.event.set()
        logging.getLogger("customspec").removeHandler(waited_for)
        holder.join()
    assert ended.code == 0, ended.err
    assert f"waiting for process {os.getpid()} on {os.uname().nodename} (since 20" in ended.err


class Waiting(logging.Handler):
    """Sees that somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("waiting for"):
            self.event.set()
