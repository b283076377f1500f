"""Plugins that exit, raise, print or change what is everybody's, wherever their code runs outside of steps."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from customspec.containment import contained, plugin_code
from customspec.errors import PluginError, Terminated
from support import Ended, Workspace

Command = Callable[..., Ended]
Install = Callable[..., None]
Try = Callable[..., Ended]

PLUGIN = """
import os, sys
from pydantic import model_validator
from customspec.hookspecs import hookimpl
from customspec.spec import PromptingOptions

class OddOptions(PromptingOptions):
    \"\"\"None of its own.\"\"\"
{option}

class Odd:
    name, family, summary, options = "odd", "prompting", "Shows the query alone.", OddOptions
    def shots(self, options): return 0
    def select(self, options, rows, seed): return lambda query: ()

class Odder(Odd):
{member}
    pass

{module}
@hookimpl
def customspec_techniques():
    {hook}
    return [Odder()]
"""
WHO = "plugin acme-odd 1.0: technique `odd`: "


def plugin(*, option: str = "    pass", member: str = "", module: str = "", hook: str = "") -> str:
    return PLUGIN.format(option=option, member=f"    {member}", module=module, hook=hook)


@pytest.fixture
def attempt(workspace: Workspace, customspec: Command, install: Install, monkeypatch: pytest.MonkeyPatch) -> Try:
    """A function: a command on a spec that names the plugin of this source."""

    def call(source: str, *command: str) -> Ended:
        monkeypatch.chdir(workspace.root)
        install("acme-odd", "odd", source)
        workspace.spec("techniques: [zero_shot, odd]")
        return customspec(*command)

    return call


VALIDATOR = "    @model_validator(mode='after')\n    def checked(self): {}"
FAULTS = {
    "its import": (plugin(module="raise BaseException('x')"), "plugin acme-odd 1.0 cannot be imported (acme_odd): "),
    "its hook": (plugin(hook="sys.exit(0)"), "plugin acme-odd 1.0 is broken: SystemExit: 0"),
    "its name": (plugin(member="@property\n    def name(self): raise RuntimeError('x')"), WHO + "RuntimeError: x"),
    "its family": (plugin(member="@property\n    def family(self): sys.exit(0)"), WHO + "SystemExit: 0"),
    "a family that is none": (plugin(member="family = []"), WHO + "its family is [], neither"),
    "a summary that is none": (plugin(member="summary = 3"), WHO + "its summary is no text but 3"),
    "its extra": (plugin(member="@property\n    def extra(self): sys.exit(0)"), WHO + "SystemExit: 0"),
    "its options' check, an exit": (plugin(option=VALIDATOR.format("sys.exit(0)")), WHO + "SystemExit: 0"),
    "its options' check": (plugin(option=VALIDATOR.format("raise RuntimeError('x')")), WHO + "RuntimeError: x"),
    "shots": (plugin(member="def shots(self, options): raise RuntimeError('x')"), WHO + "RuntimeError: x"),
    "shots, an exit": (plugin(member="def shots(self, options): sys.exit(0)"), WHO + "SystemExit: 0"),
    "shots, a text": (plugin(member="def shots(self, options): return 'a'"), WHO + "TypeError: 'str' object"),
    "shots, below nothing": (plugin(member="def shots(self, options): return -1"), WHO + "`shots` gives -1"),
    "select": (plugin(member="def select(self, options, rows, seed): sys.exit(0)"), WHO + "SystemExit: 0"),
    "what select gives": (
        plugin(member="def select(self, options, rows, seed): return lambda query: sys.exit(0)"),
        WHO + "SystemExit: 0",
    ),
    "messages": (plugin(member="def messages(self, options, query, shots): sys.exit(0)"), WHO + "SystemExit: 0"),
    "refusal": (plugin(member="def refusal(self, options, rows): sys.exit(0)"), WHO + "SystemExit: 0"),
    "columns": (plugin(member="def columns(self, options): sys.exit(0)"), WHO + "SystemExit: 0"),
    "files": (plugin(member="def files(self, options): sys.exit(0)"), WHO + "SystemExit: 0"),
    "files that are none": (plugin(member="def files(self, options): return 3"), WHO + "TypeError: 'int' object"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_ends_or_raises_in_a_plugin_names_it_and_ends_with_4(attempt: Try, fault: str) -> None:
    source, said = FAULTS[fault]
    ended = attempt(source, "plan", "spec.yaml", "--json")
    assert (ended.code, ended.out) == (4, ""), ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_an_exit_while_an_answer_is_measured_for_generation_names_the_plugin(
    workspace: Workspace, attempt: Try
) -> None:
    source = plugin(member="def decoding(self, options): sys.exit(0)\n    def read(self, *given): ...")
    ended = attempt(source, "validate", "spec.yaml")
    assert (ended.code, ended.err) == (4, f"error: {WHO}SystemExit: 0\n")


def test_a_run_does_not_end_as_if_all_were_well(attempt: Try) -> None:
    ended = attempt(plugin(member="def shots(self, options): sys.exit(0)"), "run", "spec.yaml")
    assert (ended.code, ended.err) == (4, f"error: {WHO}SystemExit: 0\n")


def test_an_interrupt_stays_an_interrupt(attempt: Try) -> None:
    ended = attempt(plugin(member="def shots(self, options): raise KeyboardInterrupt"), "validate", "spec.yaml")
    assert ended.code == 130


def test_plugins_are_listed_beside_one_that_ends_the_process(attempt: Try) -> None:
    ended = attempt(plugin(hook="sys.exit(0)"), "techniques", "--json")
    rows = {row["name"]: row for row in json.loads(ended.out)}
    assert rows["odd"]["problem"] == "plugin acme-odd 1.0 is broken: SystemExit: 0"
    assert rows["lora"]["summary"]


def test_the_schema_leaves_out_a_plugin_whose_options_have_none(attempt: Try) -> None:
    option = "    @classmethod\n    def __get_pydantic_json_schema__(cls, core, handler): sys.exit(0)"
    ended = attempt(plugin(option=option), "schema")
    assert ended.code == 0
    assert '"zero_shot"' in ended.out
    assert '"odd"' not in ended.out


PRINTING = {
    "at import": plugin(module="print('HELLO')"),
    "in its hook": plugin(hook="print('HELLO')"),
    "in its options": plugin(option=VALIDATOR.format("print('HELLO'); return self")),
    "in shots": plugin(member="def shots(self, options): print('HELLO'); return 0"),
    "in select": plugin(member="def select(self, options, rows, seed): print('HELLO'); return lambda query: ()"),
    "in what select gives": plugin(
        member="def select(self, options, rows, seed): return lambda query: print('HELLO') or ()"
    ),
    "in refusal": plugin(member="def refusal(self, options, rows): print('HELLO')"),
}


PRINTED = [
    *((where, ("validate", "--format", "json")) for where in PRINTING),
    ("at import", ("plan", "--json")),
    ("in what select gives", ("show", "--json")),
]


@pytest.mark.parametrize(("where", "command"), PRINTED)
def test_what_a_plugin_prints_stays_off_stdout(attempt: Try, where: str, command: tuple[str, ...]) -> None:
    ended = attempt(PRINTING[where], *command, "spec.yaml")
    assert ended.code == 0, ended.err
    json.loads(ended.out)
    assert "HELLO" in ended.err


CHANGES = """
        import os, random
        import numpy, torch
        os.chdir("/")
        os.environ["ODD"], os.environ["PATH"] = "1", "/odd"
        random.seed(3)
        numpy.random.seed(3)
        torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
"""
CHANGING = {
    "at import": plugin(module="if True:" + CHANGES),
    "in shots": plugin(member="def shots(self, options):" + CHANGES + "        return 0"),
    "in what select gives": plugin(
        member="def select(self, options, rows, seed):\n        def selected(query):"
        + CHANGES.replace("\n", "\n    ")
        + "\n            return ()\n        return selected"
    ),
}


def shared() -> tuple[object, ...]:
    """What every plugin shares with everybody."""
    settings = torch.get_default_dtype(), torch.get_default_device(), torch.initial_seed()
    numbers = random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()
    return (*settings, *numbers, Path.cwd(), dict(os.environ))


@pytest.fixture
def restored() -> Iterator[None]:
    """What these tests change is put back where customspec did not, for the tests that follow."""
    folder = Path.cwd()
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    os.chdir(folder)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("where", CHANGING)
def test_what_a_plugin_changes_outside_of_steps_is_put_back_and_named(
    workspace: Workspace, customspec: Command, attempt: Try, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(workspace.root)
    assert customspec("explain", "CS601").code == 0  # what every command sets is set
    before = shared()
    ended = attempt(CHANGING[where], "validate", "spec.yaml")
    assert ended.code == 0, ended.err
    assert shared() == before
    told = next(line for line in ended.err.splitlines() if line.startswith("plugin acme-odd 1.0"))
    for thing in ("working directory", "environment's ODD, PATH", "default dtype", "default device", "torch's seed"):
        assert thing in told


# --- the mechanism


def test_a_torch_that_a_plugin_imports_is_left_as_torch_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shared()
    monkeypatch.delitem(sys.modules, "torch")
    with contained("plugin x"):
        sys.modules["torch"] = torch
        torch.set_default_dtype(torch.float64)
    assert shared() == before


def test_without_draws_what_is_drawn_goes_on_and_what_is_seeded_does_not() -> None:
    torch.manual_seed(5)
    random.seed(5)
    expected = [(torch.rand(1).item(), random.random()) for _ in range(3)]
    torch.manual_seed(5)
    random.seed(5)
    found = []
    for _ in range(3):
        with contained("plugin x", draws=False):
            found.append((torch.rand(1).item(), random.random()))
    assert found == expected
    before = shared()
    with contained("plugin x", draws=False):
        torch.manual_seed(9)
        random.seed(9)
    assert shared() == before
    with contained("plugin x"):
        found.append((torch.rand(1).item(), random.random()))
    assert shared() == before


def test_drawing_is_no_change_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    monitored = logging.getLogger("customspec")
    monitored.addHandler(caplog.handler)
    try:
        with contained("plugin x"):
            torch.rand(1)
    finally:
        monitored.removeHandler(caplog.handler)
    assert caplog.records == []


@pytest.mark.parametrize("passing", [KeyboardInterrupt, Terminated])
def test_who_stops_a_command_is_no_plugins_fault(passing: type[BaseException]) -> None:
    with pytest.raises(passing), plugin_code("plugin x"):
        raise passing


@pytest.mark.parametrize("raised", [SystemExit(0), GeneratorExit(), StopIteration(), RecursionError("deep")])
def test_whatever_else_is_raised_is_the_plugins_fault(raised: BaseException) -> None:
    with pytest.raises(PluginError, match=f"plugin x: {type(raised).__name__}"), plugin_code("plugin x"):
        raise raised
