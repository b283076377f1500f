"""Options and arguments that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from customspec.cli.places import STORE_VARIABLE
from customspec.cli.roots import allow_root_option
from customspec.inputs.paths import STORE_FOLDER

F = TypeVar("F", bound=Callable[..., Any])

spec_argument = click.argument("spec", type=click.Path(path_type=Path))


class Amount(click.FloatRange):
    """A finite number, 0 or more. click's own range lets `nan` pass."""

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
