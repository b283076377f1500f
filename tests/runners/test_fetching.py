"""What is fetched from a hub: in a process that an interrupt ends, whose reasons are told."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from huggingface_hub import constants

from customspec.compiler import read_spec
from customspec.errors import MachineError
from customspec.registry import discover
from customspec.runners.fetching import fetch
from customspec.source import read
from customspec.spec import Spec
from support import Workspace


@pytest.fixture
def spec(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """One whose model is nowhere in the hub's cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(workspace.root / "hub"))
    text = workspace.spec("techniques: [zero_shot]").read_text().replace("{path: model}", "{hub: owner/tiny}")
    return read_spec(read(workspace.write("spec.yaml", text)), discover())[0]


@pytest.fixture
def interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in a shell's background
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_does_not_wait_for_a_download(
    spec: Spec, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, interruptible: None
) -> None:
    gone = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        os.kill(os.getpid(), signal.SIGINT)
        with connection, suppress(OSError):
            while connection.recv(65536):  # until the one that asks has ended; it gets no answer
                pass
        gone.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            fetch(spec, workspace.root / ".customspec", lambda text: None)
        assert gone.wait(60)


def test_the_reason_of_the_hub_is_told(spec: Spec, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    told: list[str] = []
    with pytest.raises(MachineError, match="owner/tiny is not in the local cache and cannot be fetched: "):
        fetch(spec, workspace.root / ".customspec", told.append)
    assert told == ["fetching model owner/tiny"]


def test_what_ends_without_a_reason_is_told_by_its_end(
    spec: Spec, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(broken))
    with pytest.raises(MachineError, match="fetching owner/tiny ended with 3"):
        fetch(spec, workspace.root / ".customspec", lambda text: None)


def test_a_folder_here_is_not_taken_for_a_data_set(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` reads the folder `owner/name` of where it is run; a spec names no files so."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(workspace.root / "hub"))
    monkeypatch.chdir(workspace.root)
    workspace.rows("owner/rows/train.jsonl", [{"text": "swordfish", "label": "warm"}])
    text = workspace.spec("techniques: [zero_shot]").read_text()
    text = text.replace("train: train.jsonl", "train: {hub: owner/rows, split: train}")
    spec = read_spec(read(workspace.write("spec.yaml", text)), discover())[0]
    with pytest.raises(MachineError, match="cannot get owner/rows from the hub"):
        fetch(spec, workspace.root / ".customspec", lambda told: None)
