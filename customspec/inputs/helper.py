"""The way to the helper process, which imports what is heavy: started at the first question, once for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from customspec.sandbox.child import Child

QUIET: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}


@dataclass(frozen=True, slots=True)
class Answered:
    """How the process that was asked ended, below zero for a signal, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def asks_too_much(self) -> bool:
        """Whether it was ended for its time or its memory."""
        return self.code in {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGABRT}

    @property
    def last_words(self) -> str:
        """The last line of what it complained of."""
        return (self.err.strip().splitlines() or ["it ended without a word"])[-1].strip()


class Helper:
    """One helper process. Requests from several threads take turns."""

    def __init__(self) -> None:
        self._child: Child[str] | None = None
        self._interpreter: Mapping[str, str] = {}
        self._lock = threading.Lock()

    def ask(self, program: str, arguments: Sequence[Any], *, cpu: int, memory: int) -> Answered:
        """What `customspec.ml.<program>` answers, within `cpu` seconds of computing and `memory` bytes."""
        environment = {**os.environ, **QUIET}
        asked = {"program": program, "arguments": arguments, "folder": str(Path.cwd()), "environment": environment}
        line = json.dumps({**asked, "cpu": cpu, "memory": memory}) + "\n"
        with self._lock:
            # an empty reply: it has just ended of its own
            reply = self._exchange(line, environment) or self._exchange(line, environment)
            return Answered(**json.loads(reply)) if reply else self._broken()

    def _exchange(self, line: str, environment: Mapping[str, str]) -> str:
        """The reply; empty from a process that has ended."""
        child = self._running(environment)
        try:
            child.send(line)
            reply = child.replies.readline()
        except BrokenPipeError:
            reply = ""
        except BaseException:  # an interrupt: the answer that is still to come would be taken for the next one's
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            self._forget()
            raise
        if not reply:
            child.process.wait()
        return reply

    def _running(self, environment: Mapping[str, str]) -> Child[str]:
        """The process; another one where there is none, or where it would find other packages."""
        interpreter = {name: value for name, value in environment.items() if name.startswith("PYTHON")}
        if self._child is not None and self._child.answers and self._interpreter == interpreter:
            return self._child
        self._forget()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "customspec.ml.helper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            process_group=0,  # it and what it asks end together
        )
        self._child, self._interpreter = Child(process), interpreter
        return self._child

    def _broken(self) -> Answered:
        """Its own last words, where not even a second one answers."""
        assert self._child is not None
        process = self._child.process
        assert process.stderr is not None
        told = process.stderr.read()
        self._forget()
        return Answered(process.wait(), "", told)

    def _forget(self) -> None:
        if self._child is not None:
            self._child.end()
        self._child = None


@cache
def helper() -> Helper:
    """The one helper of this process: it holds no results, and starting it takes seconds."""
    return Helper()
