"""The helper process: `python -m customspec.ml.helper` reads what strangers wrote, within limits.

What takes seconds to import is imported once; each question is answered in a process of its own. A question is a line
of JSON on stdin, its answer one on stdout. Without a question for IDLE seconds, and at the end of stdin, it ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import selectors
import signal
import sys
import traceback
from typing import Any, Final, NoReturn

import customspec.ml.headers  # noqa: F401  # the heavy part of every question

IDLE: Final = 30.0  # seconds
FORKS: Final = sys.platform == "linux"  # elsewhere libraries may not survive a fork: one process for each question
PROGRAMS: Final = ("headers", "consulting")


def limit(cpu: int, memory: int) -> None:
    """From now on this process may compute for `cpu` seconds in all and hold `memory` bytes, and three quarters of the
    machine's at most: one that takes more ends, and says so by its signal."""
    memory = min(memory, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4)
    for what, most in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_DATA, memory)):
        soft, hard = resource.getrlimit(what)
        known = [bound for bound in (most, soft, hard) if bound != resource.RLIM_INFINITY]
        resource.setrlimit(what, (min(known), hard))


def main() -> NoReturn:
    """Answers until there are no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    gc.freeze()  # pages that no collection touches stay shared
    with selectors.DefaultSelector() as ready:
        ready.register(sys.stdin, selectors.EVENT_READ)
        # one question at a time: after its line nothing is buffered
        while ready.select(IDLE) and (line := sys.stdin.readline()):
            replies.write(json.dumps(_answer(json.loads(line))) + "\n")
            replies.flush()
            if not FORKS:
                break
    os._exit(0)  # at once: who asked waits for it


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    """How the process that was asked ended, and what it wrote."""
    written, told = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        _act(question, written[1], told[1])
    for pipe in (written, told):
        os.close(pipe[1])
    out, err = _read_both(written[0], told[0])
    return {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "out": out, "err": err}


def _act(question: dict[str, Any], out: int, err: int) -> NoReturn:
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(question["folder"])
        os.environ.clear()
        os.environ.update(question["environment"])
        importlib.invalidate_caches()
        limit(question["cpu"], question["memory"])
        assert question["program"] in PROGRAMS
        code = importlib.import_module(f"customspec.ml.{question['program']}").main(*question["arguments"])
    except BaseException:  # whatever it is, this process ends here
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _read_both(*pipes: int) -> list[str]:
    parts: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
    with selectors.DefaultSelector() as ready:
        for pipe in pipes:
            ready.register(pipe, selectors.EVENT_READ)
        while ready.get_map():
            for key, _ in ready.select():
                if part := os.read(key.fd, 1 << 16):
                    parts[key.fd].append(part)
                else:
                    ready.unregister(key.fd)
                    os.close(key.fd)
    return [b"".join(parts[pipe]).decode(errors="replace") for pipe in pipes]


if __name__ == "__main__":
    main()
