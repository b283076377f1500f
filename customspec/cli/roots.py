"""Where a spec may lead: its own folder, `--allow-root`, and `allow_roots` of the person's own configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from customspec.errors import UsageError
from customspec.inputs.paths import Roots, resolved

F = TypeVar("F", bound=Callable[..., Any])

FILE: Final = Path("customspec", "config.yaml")


def allow_root_option(command: F) -> F:
    """For every command that reads a spec."""
    option = click.option(
        "--allow-root",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        multiple=True,
        help="A folder beside the spec's own that the spec may name files in; may be repeated.",
    )
    return option(command)


def configuration_file() -> Path:
    """The person's configuration, which need not be there."""
    home = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (home if home.is_absolute() else Path("~/.config").expanduser()) / FILE


def configured_roots() -> tuple[Path, ...]:
    """The folders that the person's configuration allows. Raises SpecError for a configuration that is wrong."""
    file = configuration_file()
    if not file.is_file():
        return ()
    from customspec.cli.configuration import read_configuration  # commands that read no spec need no compiler

    return read_configuration(file)


def roots_of(spec: Path, allowed: Sequence[Path] = ()) -> Roots:
    """Where a spec may lead. Raises UsageError for a spec that is itself a link that leads out of its folder."""
    roots = Roots.of(spec.parent, (*allowed, *configured_roots()))
    whole = resolved(spec)
    if not roots.hold(whole):
        raise UsageError(f"{spec} is a link that leads out of its folder: to {whole}; name that file, or --allow-root")
    return Roots(whole.parent, roots.allowed)
