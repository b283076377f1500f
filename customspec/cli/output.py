"""What commands print: problems on stderr, JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from customspec.errors import Problem

STDOUT: Final = 1  # file descriptors
STDERR: Final = 2


def show_problems(problems: Sequence[Problem], texts: Mapping[str, str] | None = None) -> None:
    """Problems with excerpts of their files, or of the `texts` of such as are not written; on stderr, with colour on a
    terminal only."""
    from customspec.report.logs import tell
    from customspec.report.problems import render

    color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    tell(render(problems, _texts(problems) if texts is None else texts, color=color))


def show_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty(), allow_nan=False))


@contextmanager
def stdout_apart() -> Iterator[None]:
    """Within it, what is written to stdout reaches stderr, also past Python: by native code, by a compiler that a
    library starts. Stdout is for results."""
    try:
        sys.stdout.flush()
        kept = os.dup(STDOUT)
    except (AttributeError, OSError, ValueError):  # there is none
        yield
        return
    os.dup2(STDERR, STDOUT)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


def _texts(problems: Sequence[Problem]) -> dict[str, str]:
    texts = ((file, _text(Path(file))) for file in {problem.location.file for problem in problems})
    return {file: text for file, text in texts if text is not None}


def _text(path: Path) -> str | None:
    """The beginning of a file, as long as a spec may be; None where there is none, as for `--set`."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(1 << 20).decode("utf-8-sig", errors="replace")
    except OSError:
        return None
