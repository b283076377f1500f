"""What several commands share: the options, reading a spec, the store's place, showing problems and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from customspec.cli.roots import allow_root_option
from customspec.errors import Problem, UsageError

if TYPE_CHECKING:
    from customspec.source import Document, KeyPath

F = TypeVar("F", bound=Callable[..., Any])
STORE_VARIABLE = "CUSTOMSPEC_STORE"
STORE_FOLDER = ".customspec"

spec_argument = click.argument("spec", type=click.Path(path_type=Path))


class Amount(click.FloatRange):
    """A number that is not negative, and is one: click takes `nan` for within every range."""

    def __init__(self) -> None:
        super().__init__(0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not isfinite(found):
            self.fail(f"{value} is no amount.", param, ctx)
        return found


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help=f"Store folder [{STORE_VARIABLE}; default: {STORE_FOLDER} beside the spec].",
)
set_option = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set a key of the spec: goal.at_least=0.9"
)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")


def choice_options(command: F) -> F:
    """The options that narrow or change a spec from the command line."""
    for option in (
        click.option("--max-steps", type=click.IntRange(1), help="At most so many optimizer steps per training."),
        click.option("--limit", type=click.IntRange(1), help="Evaluate the first so many rows of each split only."),
        set_option,
        click.option("--only", multiple=True, metavar="ID", help="Only the candidates of this id; may be repeated."),
    ):
        command = option(command)
    return allow_root_option(command)


def read_document(path: Path, sets: Sequence[str] = ()) -> Document:
    """The spec's document with every `--set` laid over it. Raises SpecError, UsageError."""
    from customspec.source import parse_scalar, read

    document = read(path)
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set needs KEY=VALUE, found {text}")
        document = document.with_value(_key_path(key), parse_scalar(value), origin=f"--set {text}")
    return document


def store_root(spec: Path, store: Path | None) -> Path:
    """The store's folder: the option, the environment variable, or beside the spec."""
    if store is not None:
        return store
    named = os.environ.get(STORE_VARIABLE)
    return Path(named) if named else spec.resolve().parent / STORE_FOLDER


def store_here(store: Path | None) -> Path:
    """The store's folder for a command that reads no spec: as `store_root`, beside the specs of this folder."""
    return store_root(Path("spec"), store)


def show_problems(problems: Sequence[Problem]) -> None:
    """Problems with excerpts, on stderr; colour on a terminal only."""
    from customspec.report.problems import render

    color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    click.echo(render(problems, _texts(problems), color=color), err=True, color=color)


def show_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty(), allow_nan=False))


def _key_path(key: str) -> KeyPath:
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def _texts(problems: Sequence[Problem]) -> dict[str, str]:
    files = {problem.location.file for problem in problems}
    return {file: _text(Path(file)) for file in files if Path(file).is_file()}


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[: 1 << 20].decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
