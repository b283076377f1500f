"""The way to the template process: started at the first template, started again after one that it did not survive."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from customspec.errors import MachineError
from customspec.sandbox.child import Child, exit_code

WALL: Final = 60.0  # seconds; CPU time has a much lower limit, so this one ends a process that does not run at all
REPLY: Final = 64 * 2**20  # bytes of one reply
PROGRAM: Final = "import sys; sys.path[:0] = sys.argv[1:]; from customspec.sandbox.worker import main; main()"
KEPT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # where the interpreter finds itself; nothing else is handed on


class WorkerDiedError(Exception):
    """The process ended in the middle of a request; `reason` is one of `time`, `memory`, `output`, and `cpu` the most
    seconds that it has computed."""

    def __init__(self, reason: str, cpu: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cpu = cpu


class Worker:
    """One template process, and which templates it knows. Requests from several threads take turns."""

    def __init__(self) -> None:
        self._child: Child[bytes] | None = None
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Start the process where there is none; returns at once, it boots meanwhile."""
        self._running()

    def ask(
        self, kind: str, source: str, rows: Sequence[Mapping[str, Any]], cpu: float, *, each: bool = False
    ) -> dict[str, Any]:
        """The worker's answer for one template and some rows, `cpu` seconds being allowed; `asked` in it is the
        request's size in bytes. With `each` a row that cannot be filled has its error among the texts, and the others
        are filled. Raises WorkerDiedError."""
        with self._lock:
            child = self._running()
            known = (kind, source) in self._known
            id = self._known.setdefault((kind, source), len(self._known))
            request = {"id": id, "rows": rows, "cpu": cpu, "each": each}
            request |= {} if known else {"kind": kind, "source": source}
            line = json.dumps(request).encode() + b"\n"
            began = time.monotonic()
            try:
                answer = {"asked": len(line), **self._exchange(child, line)}
            except WorkerDiedError as error:
                error.cpu = min(cpu, time.monotonic() - began)
                raise
            if "error" in answer and "row" not in answer:
                del self._known[kind, source]  # it was no template
            if "limit" in answer:
                self._forget()  # what the template left in memory goes with the process
                raise WorkerDiedError(answer["limit"], answer["cpu"])
            return answer

    def close(self) -> None:
        """End the process. It starts again with the next request."""
        with self._lock:
            self._forget()

    def _running(self) -> Child[bytes]:
        if self._child is not None and self._child.answers:
            return self._child
        self._forget()
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, *_folders()]
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", env=environment
        )
        self._child = Child(process)
        return self._child

    def _exchange(self, child: Child[bytes], line: bytes) -> dict[str, Any]:
        try:
            child.send(line)
            answer: dict[str, Any] = json.loads(self._received(child))
        except (OSError, ValueError, EOFError) as error:
            raise WorkerDiedError(self._why(child)) from error
        except BaseException:  # an interrupt: the answer that is still to come would be taken for the next one's
            child.process.kill()
            self._forget()
            raise
        return answer

    def _received(self, child: Child[bytes]) -> bytes:
        received = bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(child.replies, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                if len(received) > REPLY:
                    raise self._killed(child, "output")
                if not ready.select(WALL):
                    raise self._killed(child, "time")
                part = os.read(child.replies.fileno(), 1 << 20)
                received += part
                if not part:
                    raise EOFError
        return bytes(received)

    def _killed(self, child: Child[bytes], reason: str) -> WorkerDiedError:
        child.process.kill()
        self._forget()
        return WorkerDiedError(reason)

    def _why(self, child: Child[bytes]) -> str:
        """What ended the process, by the signal that it died of."""
        code = exit_code(child.process)
        self._forget()
        if code == 1:  # a fault of ours, or an installation that cannot run
            raise MachineError("the process that fills templates ended; is this installation of Python whole?")
        return "time" if code == -signal.SIGPROF else "memory"

    def _forget(self) -> None:
        if self._child is not None:
            self._child.end()
        self._child, self._known = None, {}


@cache
def worker() -> Worker:
    """The one worker of this process: it holds no results, and starting it takes as long as filling 1000 templates."""
    return Worker()


def _folders() -> list[str]:
    """Where the worker finds what it imports; nothing of it is imported here."""
    found = map(find_spec, ("jinja2", "markupsafe", "customspec"))
    return sorted({str(Path(spec.origin or "").parents[1]) for spec in found if spec is not None})
