"""Runs `customspec run` in forked children that are killed at a chosen operation on the store: torch is imported once.

`python killing.py FOLDER` reads lines `EVENT NUMBER PART ERROR` from stdin; for each one a child runs spec.yaml in
FOLDER, and SIGKILLs itself when the audit event EVENT happens for the NUMBERth time on a path that holds PART; with an
ERROR other than 0 the operation fails with it instead. EVENT `-`: nothing happens to it. For each it prints the exit
status and the hashes of what the run left, as a line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CONTINUES = ["run", "spec.yaml", "--checkpoint-minutes", "0"]


def stop_at(event: str, number: int, part: str, error: int) -> None:
    seen = 0

    def hook(found: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if found == event and any(part in os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | Path)):
            seen += 1
            if seen == number and error:
                raise OSError(error, os.strerror(error), os.fsdecode(arguments[0]))
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def hashes(folder: Path) -> dict[str, str]:
    """Of every artifact and prediction in the newest run that has results."""
    runs = sorted(path.parent for path in (folder / ".customspec" / "runs").glob("*/results.json"))
    files = [path for path in sorted((runs[-1] / "candidates").rglob("*")) if path.is_file()] if runs else []
    return {str(path.relative_to(runs[-1])): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def child(event: str, number: int, part: str, error: int) -> None:
    from customspec.cli import main

    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
    if event != "-":
        stop_at(event, number, part, error)
    try:
        main(CONTINUES)
    except SystemExit as ended:
        os._exit(int(ended.code or 0))


def serve(folder: Path) -> None:
    import peft  # noqa: F401  # what takes long to import is imported once
    import torch
    import transformers  # noqa: F401

    torch.set_num_threads(1)
    os.chdir(folder)
    for line in sys.stdin:
        event, number, part, error = line.split()
        if (pid := os.fork()) == 0:
            child(event, int(number), part, int(error))
        status = os.waitpid(pid, 0)[1]
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), hashes(folder)]) + "\n")
        sys.stdout.flush()


class Killing:
    """This script as a process, and the children's ends; the store stays between them."""

    def __init__(self, root: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, __file__, str(root)], text=True, env=environment, **pipes)

    def run(self, event: str = "-", number: int = 1, part: str = "-", error: int = 0) -> tuple[int, dict[str, str]]:
        """The exit status, and the hashes of what the newest run left."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(event, number, part, error, file=self.process.stdin, flush=True)
        code, found = json.loads(self.process.stdout.readline())
        return code, found


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
