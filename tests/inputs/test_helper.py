"""The helper process: started once, and again where it is gone or would find other packages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from customspec.inputs.helper import Answered, Helper

MEMORY = 32 << 30


@pytest.fixture
def helper() -> Iterator[Helper]:
    one = Helper()
    yield one
    one._forget()


def ask(helper: Helper, model: Path, folder: Path, cpu: int = 60) -> Answered:
    folder.mkdir()
    return helper.ask("headers", [str(model), str(folder)], cpu=cpu, memory=MEMORY)


def interpreter(folder: Path, script: str) -> str:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_one_process_answers_until_it_would_find_other_packages_or_is_gone(
    helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_its_number = """while read -r line; do echo '{"code": 0, "out": "'$$'", "err": ""}'; done"""
    monkeypatch.setattr(sys, "executable", interpreter(tmp_path, with_its_number))

    def answering() -> int:
        return int(helper.ask("headers", [], cpu=1, memory=1).out)

    first = answering()
    monkeypatch.setenv("SOMETHING", "else")
    assert answering() == first
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    second = answering()
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert answering() not in {first, second}


def test_what_asks_for_too_much_ends_and_the_next_question_is_answered(
    helper: Helper, tiny_folder: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "deep"
    shutil.copytree(tiny_folder, deep)
    config = json.loads((deep / "config.json").read_text())
    (deep / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 10**5, "layer_types": None}))
    asked = ask(helper, deep, tmp_path / "one", cpu=1)
    assert asked.asks_too_much, asked
    assert ask(helper, tiny_folder, tmp_path / "two").code == 0


def test_a_process_that_cannot_start_is_told_with_its_last_words(
    helper: Helper, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo first >&2; echo no such library >&2; exit 3"
    monkeypatch.setattr(sys, "executable", interpreter(tmp_path, script))
    answered = ask(helper, tiny_folder, tmp_path / "folder")
    assert (answered.code, answered.out, answered.last_words) == (3, "", "no such library")


def test_an_interrupt_ends_what_was_asked(helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/asked; wait"
    monkeypatch.setattr(sys, "executable", interpreter(tmp_path, script))

    def interrupt(*_: object) -> None:
        if (tmp_path / "asked").is_file():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            helper.ask("headers", [], cpu=1, memory=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    asked = Path("/proc") / (tmp_path / "asked").read_text().strip() / "stat"
    assert not asked.exists() or asked.read_text().split()[2] == "Z"
