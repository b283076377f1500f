"""What commands print: problems on stderr, JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from customspec.errors import Problem


def show_problems(problems: Sequence[Problem]) -> None:
    """Problems with excerpts, on stderr; colour on a terminal only."""
    from customspec.report.problems import render

    color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    click.echo(render(problems, _texts(problems), color=color), err=True, color=color)


def show_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty(), allow_nan=False))


def _texts(problems: Sequence[Problem]) -> dict[str, str]:
    files = {problem.location.file for problem in problems}
    return {file: _text(Path(file)) for file in files if Path(file).is_file()}


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[: 1 << 20].decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
