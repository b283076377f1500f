"""Looking at a stranger's spec: whatever it says, nothing happens on this machine but reading.

Every bad spec is looked at in a process under `sys.addaudithook`. Each event that the interpreter announces must be one
that is known to be harmless, or one of the few that are meant to be there: the template process, the header reader,
writing below the store.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mistakes import BROKEN_PLUGINS, make_folder

from support import Workspace, long_form_of

SPECS = sorted(Path(__file__).with_name("problems").glob("*/*.yaml"))
GOOD = [
    "techniques: [{zero_shot: {calibrate: pmi}}, {few_shot: {shots: 2}}, {lora: {r: 4}}, full]",
    "strategy: compare",
]

MEANT = ("customspec.sandbox.worker", "customspec.ml.helper")

# An audit hook cannot be taken away again, so this is a program of its own.
PROGRAM = r"""
import json, os, sys

SILENCED = {  # what libraries ask before they phone home, or look for code of others to run
    (b"HF_HUB_DISABLE_TELEMETRY", b"1"), (b"DO_NOT_TRACK", b"1"), (b"PYDANTIC_DISABLE_PLUGINS", b"__all__"),
}
HARMLESS = {
    "builtins.id", "code.__new__", "compile", "exec", "import", "marshal.loads", "object.__getattr__",
    "object.__setattr__", "object.__delattr__", "os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob",
    "glob.glob/2", "pathlib.Path.glob", "pathlib.Path.rglob", "sys._getframe", "sys.excepthook", "sys.unraisablehook",
    "sys._current_frames", "gc.get_objects", "gc.get_referrers", "gc.get_referents", "signal.pthread_kill",
    "cpython.PyInterpreterState_New", "tempfile.mkstemp", "tempfile.mkdtemp", "os.getxattr", "os.listxattr",
    "array.__new__", "ctypes.dlsym", "ctypes.cdata", "fcntl.flock", "fcntl.lockf", "fcntl.fcntl", "time.sleep",
}
CHANGES = {"os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.truncate", "os.utime", "shutil.rmtree"}
MOVES = {"os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile", "shutil.copymode", "shutil.copystat"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
STORE = os.path.realpath(".customspec")
found, output = [], os.dup(1)


def inside(path):
    return isinstance(path, int) or (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(STORE + os.sep)


def changed(event, args):
    # a path may be told from an open folder on
    folder = args[-1] if event != "os.truncate" else None
    if isinstance(folder, int) and folder >= 0 and len(args) > 1 and not isinstance(args[0], int):
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(args[0]))
    return args[0]


def watched(event, args):
    if event == "open":
        path, _, flags = args
        bad = bool(flags & WRITES) and not inside(path) and path != os.devnull
    elif event in CHANGES:
        bad = not inside(changed(event, args))
    elif event in MOVES:
        bad = not all(map(inside, args[:2]))
    elif event == "exec":
        bad = args[0].co_filename.startswith("<template")
    elif event == "import":
        bad = args[0].startswith(("claims_", "broken_", "tiny_models", "mypkg", "utils"))
    elif event == "ctypes.dlopen":
        bad = args[0] is not None  # None is the interpreter itself
    elif event == "os.putenv":
        bad = args not in SILENCED
    else:
        bad = event not in HARMLESS
    if bad:
        found.append([event, repr(args)])


from customspec.cli import main

sys.stdout = sys.stderr = open(os.devnull, "w")
sys.addaudithook(watched)
events = []
for command in json.loads(sys.argv[1]):
    found.clear()
    try:
        main(command)
    except SystemExit as ended:
        events.append([command, ended.code, list(found)])
os.write(output, json.dumps(events).encode())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, shared_headers: Path) -> Workspace:
    space = Workspace(tmp_path_factory.mktemp("audit"))
    (space.root / ".customspec").mkdir(mode=0o700)
    shutil.copytree(shared_headers, space.root / ".customspec" / "headers")
    make_folder(space, tiny_folder)
    for bad in SPECS:
        (space.root / name_of(bad)).write_bytes(bad.read_bytes())
    space.spec(*GOOD, name="good.yaml")
    return space


def name_of(spec: Path) -> str:
    return f"{spec.parent.name}-{spec.name}"


def look(space: Workspace, commands: list[list[str]]) -> list[tuple[list[str], int, list[list[str]]]]:
    """Each command with its exit code and the events that are not harmless."""
    path = os.pathsep.join(str(space.root / name) for name in ("site", "plugins"))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=space.root,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return [(command, code, events) for command, code, events in json.loads(done.stdout)]


def is_meant(event: str, message: str) -> bool:
    """The processes that looking may start."""
    return event == "subprocess.Popen" and any(module in message for module in MEANT)


def asked_for(spec: str) -> set[str]:
    """The modules of the plugins that a spec names."""
    names = {entry.rpartition(".")[2] for entry in BROKEN_PLUGINS}
    return {f"broken_{name}_plugin" for name in names if re.search(rf"\b{name}\b", spec)}


@pytest.mark.parametrize("first", long_form_of(range(4), lambda first: first > 0))
def test_looking_at_bad_specs_does_nothing_but_read(folder: Workspace, first: int) -> None:
    """A quarter of them each time: the quick form has the first."""
    looked = look(folder, [["validate", name_of(spec)] for spec in SPECS[first::4]])
    assert len(looked) >= len(SPECS) // 4
    for command, code, events in looked:
        allowed = asked_for((folder.root / command[1]).read_bytes().decode(errors="replace"))
        strange = [
            (event, told)
            for event, told in events
            if not is_meant(event, told) and not (event == "import" and any(name in told for name in allowed))
        ]
        assert strange == [], command
        assert code in {2, 4}, command


def test_looking_at_a_good_spec_does_nothing_but_read(folder: Workspace) -> None:
    commands = [
        ["validate", "good.yaml"],
        ["plan", "good.yaml"],
        ["plan", "--json", "good.yaml"],
        ["show", "good.yaml"],
    ]
    for command, code, events in look(folder, commands):
        assert [one for one in events if not is_meant(*one)] == [], command
        assert code == 0, command


def test_one_template_process_serves_a_whole_command_and_none_the_next_time(folder: Workspace) -> None:
    shutil.rmtree(folder.root / ".customspec" / "memo", ignore_errors=True)
    for processes in (1, 0):
        ((_, code, events),) = look(folder, [["validate", "good.yaml", "good.yaml"]])
        assert code == 0
        started = [told for event, told in events if event == "subprocess.Popen"]
        assert sum("customspec.sandbox.worker" in told for told in started) == processes


def test_the_hook_sees_what_it_should(folder: Workspace) -> None:
    """A plugin that does all that is forbidden, asked for by name: each event is found."""
    deeds = (
        "import os, socket, subprocess\n"
        "open('left_behind', 'w').close(); os.remove('left_behind')\n"
        "socket.socket().close()\n"
        "subprocess.run(['true'])\n"
        "os.putenv('A', 'b')\n"
    )
    module = folder.root / "plugins" / "broken_quitter_plugin.py"
    before = module.read_text()
    module.write_text(deeds + before)
    try:
        ((_, _, events),) = look(folder, [["validate", "plugin-exits_when_imported.yaml"]])
    finally:
        module.write_text(before)
    assert {"open", "os.remove", "socket.__new__", "subprocess.Popen", "os.putenv"} <= {event for event, _ in events}
