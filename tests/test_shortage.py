"""A process that may open no further file, or start no further thread, ends with a sentence that says which."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest

from customspec.runners.kinds import evaluate
from customspec.runners.shortage import THREADS
from support import Ended, Workspace

Command = Callable[..., Ended]
FILES = "too many files are open at once (a process may have {} here); raise the limit (ulimit -n)"
# the limit falls once Python stands, as it would be if what runs beside it held the others
PROGRAM = """
import resource, sys
from customspec.cli import main
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


def with_files(most: int, space: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(most), *arguments]
    return subprocess.run(command, cwd=space.root, capture_output=True, text=True, timeout=120, check=False)


def test_with_any_number_of_open_files_a_spec_is_validated_or_the_limit_is_told(workspace: Workspace) -> None:
    spec = workspace.spec("techniques: [zero_shot, {few_shot: {shots: 2}}]")
    codes = []
    for most in range(5, 40, 3):
        ended = with_files(most, workspace, "validate", spec.name)
        codes.append(ended.returncode)
        assert ended.returncode == 0 or ended.stderr.startswith(f"error: {FILES.format(most)}"), ended.stderr
        if ended.returncode == 0:
            break
    assert codes == [4] * (len(codes) - 1) + [0]
    assert len(codes) > 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open at once"),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), THREADS),
        (RuntimeError("can't start new thread"), THREADS),
    ],
)
def test_a_step_that_runs_short_says_of_what_and_the_others_stay(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    spec = workspace.spec("techniques: [zero_shot]")

    def short(*_: object, **__: object) -> None:
        raise LookupError("a library's own words") from error

    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "run", short)
        ended = customspec("run", spec)
    assert ended.code == 4
    assert told in ended.err
    assert "a library's own words" not in ended.err
    assert customspec("run", spec).code == 0


def test_a_command_that_can_start_no_thread_says_so(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import customspec.cli.commands.validate as command

    def short(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(command.command, "callback", short)
    ended = customspec("validate", workspace.spec("techniques: [zero_shot]"))
    assert (ended.code, ended.out, ended.err) == (4, "", f"error: {THREADS}\n")
