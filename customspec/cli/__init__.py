"""The command line: arguments to calls, results to exit codes. `commands/` has one file per command; the files here are
what several commands share."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

import click

from customspec import __version__
from customspec.errors import CustomspecError, Exit, MachineError, SpecError, Terminated

COMMANDS: Mapping[str, str] = {
    "init": "write a first spec",
    "validate": "check specs: every problem at once, with its place",
    "plan": "show what a run would do, and what is cached",
    "run": "run a spec, or a saved plan",
    "advise": "say what is worth trying, before anything runs",
    "lock": "write down what a spec runs on",
    "diff": "compare two specs or locks: what would be run again, and why",
    "show": "show rows as the model sees them",
    "report": "write what a run found, with its evidence, as one page",
    "compare": "put runs side by side",
    "predict": "answer new rows with a run's chosen candidate",
    "export": "hand a run's chosen candidate over, for use elsewhere",
    "techniques": "list the installed techniques, or describe one",
    "plugin": "write a technique of your own, and check it",
    "metrics": "list the installed metrics, or describe one",
    "watchers": "list what a run can be followed with",
    "explain": "tell more about a problem's code",
    "doctor": "check the environment, the plugins and the store; mend the store",
    "gc": "remove stored results that no recent run refers to",
    "schema": "print the JSON Schema of specs",
}


class Lazy(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"customspec.cli.commands.{name}")
        command: click.Command = module.command
        return command

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except BrokenPipeError:  # click would end with 1, which is a step that failed
            return _unheard()

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="customspec")
def group() -> None:
    """Customization of foundation models as code.

    A YAML spec names a base model, prompts, data, techniques and a goal; customspec checks it, plans it, runs it, and
    tells which technique is the cheapest that meets the goal.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    # idle threads sleep instead of spinning: beside another busy process spinning made training ten times slower
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # pydantic's plugins must not change what a spec means, and looking for them takes as long as reading a spec
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "1"  # libraries ask at their import
    _log_to_terminal()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may know less than Unicode
    sys.exit(_run(arguments))


def _log_to_terminal() -> None:
    from customspec.report.logs import TerminalHandler

    logger = logging.getLogger("customspec")
    if not any(isinstance(handler, TerminalHandler) for handler in logger.handlers):
        logger.addHandler(TerminalHandler())


def _run(arguments: list[str] | None) -> int:
    from customspec.runners.stalled import noticing_stalls

    try:
        with noticing_stalls():
            outcome = group.main(arguments, prog_name="customspec", standalone_mode=False)
        return int(outcome or Exit.DONE)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        with suppress(BrokenPipeError):
            wrong.show()
        return Exit.BAD_INPUT
    except CustomspecError as error:
        return _tell(error)
    except MemoryError:
        return _tell(MachineError("not enough memory for this command; finished steps are kept"))
    except OSError as error:
        return _tell(_of_the_system(error))
    except (KeyboardInterrupt, click.Abort):
        return _interrupted("interrupted", Exit.INTERRUPTED, arguments)
    except Terminated:
        return _interrupted("terminated", Exit.TERMINATED, arguments)
    except BaseException as error:
        from customspec.runners.blame import plugin_fault
        from customspec.runners.shortage import shortage

        short = shortage(error)
        fault = plugin_fault(error) if short is None else MachineError(short)
        if fault is None:
            raise  # ours
        return _tell(fault)


def _unheard() -> int:
    """As a program ends that a pipe without a reader ends: how it would have ended, nobody knows."""
    from customspec.report.logs import unheard

    for stream in (sys.stdout, sys.stderr):
        unheard(stream)
    return Exit.UNHEARD


def _tell(error: CustomspecError) -> int:
    from customspec.report.logs import tell
    from customspec.report.text import escape

    if isinstance(error, SpecError):
        from customspec.cli.output import show_problems

        show_problems(error.problems)
    else:
        tell(f"error: {escape(str(error))}")
    return error.exit


def _of_the_system(error: OSError) -> MachineError:
    from customspec.runners.shortage import shortage
    from customspec.store import trouble

    if (short := shortage(error)) is not None:
        return MachineError(short)
    fault = trouble(error, Path.cwd(), None)
    return fault or MachineError(f"{error.filename or 'the system'}: {error.strerror or error}")


def _interrupted(how: str, code: Exit, arguments: list[str] | None) -> int:
    from customspec.report.logs import tell
    from customspec.report.text import escape

    command = shlex.join(["customspec", *(sys.argv[1:] if arguments is None else arguments)])
    tell(
        f"{how}: finished steps are kept, and a training as far as it came; run the same command again to continue: "
        f"{escape(command)}"
    )
    return code


def _terminate(_: int, __: FrameType | None) -> None:
    raise Terminated
