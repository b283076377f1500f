"""How a run ends when it is stopped, when a step fails, and when the command line is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from customspec.report.logs import tell
from support import Ended, Workspace

Command = Callable[..., Ended]

BROKEN = """
from typing import Literal
from customspec.hookspecs import hookimpl
from customspec.spec import TrainingOptions

class Breaks:
    name = "breaks"
    family: Literal["tuning"] = "tuning"
    summary = "Raises in the middle of a step."
    options = TrainingOptions
    def recipe(self, options, model, rows): return {"learning_rate": 1e-3, "num_train_epochs": 1.0}
    def refusal(self, options, model): return None
    def trainable_parameters(self, options, model): return 1
    def adapt(self, options, model, task): raise RuntimeError("no luck today")
    def save(self, model, folder): ...
    def load(self, model, folder): ...

@hookimpl
def customspec_techniques(): return [Breaks()]
"""


def install(folder: Path, name: str, module: str) -> None:
    """A distribution on disk, as pip would leave it."""
    information = folder / f"customspec_{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: customspec-{name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[customspec]\n{name} = customspec_{name}\n")
    (folder / f"customspec_{name}.py").write_text(module)


def test_a_failed_step_fails_its_candidate_alone(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(workspace.root / "site", "breaks", BROKEN)
    monkeypatch.syspath_prepend(workspace.root / "site")
    ended = customspec("run", workspace.spec("techniques: [zero_shot, breaks]"), "--json")
    assert ended.code == 1
    zero, breaks = ended.json["candidates"]
    assert (zero["status"], breaks["status"]) == ("done", "failed")
    blamed = "plugin customspec-breaks 1.0: technique `breaks`: RuntimeError: no luck today"
    assert breaks["reason"] == f"train:breaks@0: {blamed}"
    assert breaks["artifact"] is None
    assert ended.json["decision"]["chosen"] == "zero_shot"
    log = (workspace.run_folder(ended.json) / "log.txt").read_text()
    assert "RuntimeError: no luck today" in log
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("printed", ["os.system('echo compiled')", "os.write(1, b'compiled')", "print('compiled')"])
def test_what_a_step_writes_to_stdout_past_python_stays_off_it(workspace: Workspace, printed: str) -> None:
    noisy = BROKEN.replace('raise RuntimeError("no luck today")', printed + "; raise RuntimeError(1)")
    install(workspace.root / "site", "breaks", "import os\n" + noisy)
    spec = workspace.spec("techniques: [zero_shot, breaks]")
    ended = workspace.run("run", spec, "--json", PYTHONPATH=str(workspace.root / "site"))
    assert [one["status"] for one in ended.json["candidates"]] == ["done", "failed"]
    assert "compiled" in ended.err


def test_a_technique_that_trains_more_than_it_promised_is_named_with_its_distribution(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    boasts = BROKEN.replace('raise RuntimeError("no luck today")', "return model").replace('"breaks"', '"boasts"')
    install(workspace.root / "site", "boasts", boasts)
    monkeypatch.syspath_prepend(workspace.root / "site")
    ended = customspec("run", workspace.spec("techniques: [boasts]"), "--json")
    assert ended.code == 1
    [candidate] = ended.json["candidates"]
    expected = "plugin customspec-boasts 1.0: technique `boasts` promised 1 trained parameters and trains "
    assert candidate["reason"].startswith(expected)


def test_a_decision_over_a_failure_is_not_kept(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(workspace.root / "site", "breaks", BROKEN)
    monkeypatch.syspath_prepend(workspace.root / "site")
    spec = workspace.spec("techniques: [zero_shot, breaks]")
    for _ in range(2):
        ended = customspec("run", spec, "--json")
        assert ended.json["steps"]["decide"]["status"] == "done"


LISTENING = """
import signal
from customspec.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["run", "spec.yaml"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_keeps_what_was_finished_and_continues(
    workspace: Workspace, number: signal.Signals, code: int
) -> None:
    workspace.spec("techniques: [zero_shot, {lora: {r: 2, max_steps: 100000}}]")
    # a shell's background job ignores SIGINT, and so would what it starts
    command = [sys.executable, "-c", LISTENING]
    process = subprocess.Popen(command, cwd=workspace.root, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("train:lora@0: started"):
            process.send_signal(number)
            break
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait() == code
    assert "run the same command again to continue" in rest
    assert "Traceback" not in rest
    assert list((workspace.root / ".customspec" / "tmp").iterdir()) == []
    shorter = workspace.run("run", "spec.yaml", "--max-steps", "1", "--json")
    assert shorter.code == 0, shorter.err
    assert {c["key"]: c["status"] for c in shorter.json["candidates"]} == {"zero_shot@0": "cached", "lora@0": "done"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument"),
        (["run", "spec.yaml", "--limit", "0"], "0 is not in the range"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["run", "spec.yaml", "--set", "goal"], "--set needs KEY=VALUE"),
        (["run", "spec.yaml", "--only", "lorra"], "no candidate `lorra`"),
        (["run", "spec.yaml", "--only", "zero_sht"], "did you mean `zero_shot`?"),
        (["run", "spec.yaml", "--device", "tpu"], "tpu"),
        (["run", "notes.json"], "notes.json is no plan"),
        (["techniques", "lorra"], "did you mean `lora`?"),
        (["run", "spec.yaml", "--require-goal"], "has no `goal`"),
        (["run", "spec.yaml", "--set", "seeds=[0, 0]"], "`seeds` must be distinct"),
        (["nonsense"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_is_told_in_a_sentence(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(workspace.root)
    workspace.spec("techniques: [zero_shot]")
    workspace.write("notes.json", json.dumps({"name": "notes"}))
    ended = customspec(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("entry", "deaf", "code"), [("lorra", "stderr", 2), ("zero_shot", "stdout", 141), ("zero_shot", "stderr", 0)]
)
def test_an_end_does_not_depend_on_who_reads_why(workspace: Workspace, entry: str, deaf: str, code: int) -> None:
    workspace.spec(f"techniques: [{entry}]")
    read, write = os.pipe()
    os.close(read)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, deaf: write}
    command = [sys.executable, "-m", "customspec", "validate", "spec.yaml"]
    done = subprocess.run(command, cwd=workspace.root, check=False, **streams)  # type: ignore[call-overload]
    os.close(write)
    assert done.returncode == code
    assert not (done.stdout if deaf == "stderr" and code else done.stderr)


def test_a_spec_of_a_terabyte_is_told_and_not_read(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [zero_shot]")
    os.truncate(spec, 1 << 40)
    ended = customspec("validate", spec)
    assert ended.code == 2
    assert "the spec is 1,099,511,627,776 bytes; the limit is 256 KiB" in ended.err


@pytest.mark.parametrize(
    ("key", "told"),
    [("techniques." + "9" * 5000, "name one of its items by number"), ("goal", "must be"), ("name", "must be")],
)
def test_a_long_value_of_the_command_line_is_told(
    workspace: Workspace, customspec: Command, key: str, told: str
) -> None:
    ended = customspec("run", workspace.spec("techniques: [zero_shot]"), "--set", f"{key}={'x ' * 3000}")
    assert ended.code == 2
    assert told in ended.err


def test_of_many_mistakes_so_many_are_told_as_a_person_reads(workspace: Workspace, customspec: Command) -> None:
    keys = "".join(f"k{number}: 1\n" for number in range(4_000))
    ended = customspec("validate", workspace.spec("techniques: [zero_shot]", keys))
    assert ended.code == 2
    assert "50 problems and more in " in ended.err


def test_what_is_told_to_nobody_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in range(3):
            tell("a step started")


def test_a_terminal_that_knows_less_than_unicode_is_written_to(workspace: Workspace) -> None:
    workspace.spec("techniques: [zero_shot]", name="日.yaml")
    ended = workspace.run("validate", "日.yaml", PYTHONIOENCODING="latin-1")
    assert (ended.code, ended.out) == (0, "\\u65e5.yaml: valid\n")


def test_a_technique_that_raises_while_compiling_is_named(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stumbles = BROKEN.replace("breaks", "stumbles").replace('"learning_rate": 1e-3', '"rate": 1e-3')
    install(workspace.root / "site", "stumbles", stumbles)
    monkeypatch.syspath_prepend(workspace.root / "site")
    ended = customspec("validate", workspace.spec("techniques: [stumbles]"))
    assert ended.code == 4
    assert "plugin customspec-stumbles 1.0: technique `stumbles`" in ended.err
    assert "Traceback" not in ended.err


def test_a_command_that_runs_out_of_memory_says_so(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import customspec.cli.commands.validate as command

    def starved(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(command.command, "callback", starved)
    ended = customspec("validate", workspace.spec("techniques: [zero_shot]"))
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == "error: not enough memory for this command; finished steps are kept\n"
