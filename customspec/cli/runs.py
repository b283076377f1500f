"""A run as the command line names it: its folder, its id, or a spec, whose latest run it then is."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from customspec.cli.places import STORE_VARIABLE, store_root
from customspec.cli.printing import command_line
from customspec.cli.roots import roots_of
from customspec.cli.specs import read_document
from customspec.errors import CustomspecError, UsageError
from customspec.inputs.documents import RESULTS
from customspec.inputs.paths import STORE_FOLDER
from customspec.report.finished import Finished, read_finished

RUN = "a run folder, a run's id, or a spec (its latest run)"
_SPECS = (".yaml", ".yml")

log = logging.getLogger("customspec")

run_argument = click.argument("run", metavar="RUN")


def find_run(named: str, store: Path | None = None, allowed: Sequence[Path] = ()) -> Path:
    """The run's folder. Raises UsageError where there is none, or more than one of that id.

    `allowed` are the folders that a spec may lie in when it is named by a link.
    """
    path = Path(named)
    if path.is_dir():
        if not (path / RESULTS).is_file():
            raise UsageError(f"{named} is no run folder: it has no {RESULTS}")
        return path
    if path.suffix in _SPECS:
        return _latest(path, store, allowed)
    if path.name != named:
        raise UsageError(f"there is no run folder {named}")
    found = [root / "runs" / named for root in _stores(store) if (root / "runs" / named / RESULTS).is_file()]
    if not found:
        raise UsageError(f"no run `{named}` is in {_where(store)}; a run is {RUN}")
    if len(found) > 1:
        raise UsageError(f"there are {len(found)} runs `{named}`; name the folder: {', '.join(map(str, found))}")
    return found[0]


def store_of(run: Path) -> Path:
    """The store that the run folder lies in. Raises UsageError where it lies in none: nothing is written elsewhere."""
    root = run.resolve().parent.parent
    if not (root / "objects").is_dir():
        raise UsageError(f"{run} lies in no store; name one with --store (it keeps the model, for the next time)")
    return root


@contextmanager
def reading(run: Path) -> Iterator[None]:
    """Raises UsageError in place of whatever the contents of a run folder lead to: a seal that fits is no sign of
    sense, since whoever wrote the folder could make it."""
    try:
        yield
    except (CustomspecError, MemoryError):
        raise
    except Exception as error:  # Jinja's and the pictures' own are of no common kind
        reason = str(error) if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {error}"
        log.debug("%s cannot be read", run, exc_info=error)
        raise UsageError(f"{run} is no run folder that can be read: {reason}") from error


def read_named(named: str, store: Path | None, allowed: Sequence[Path] = ()) -> Finished:
    """A run by what it is called on the command line. Raises UsageError."""
    folder = find_run(named, store, allowed)
    with reading(folder):
        return read_finished(folder)


def _latest(spec: Path, store: Path | None, allowed: Sequence[Path]) -> Path:
    roots_of(spec, allowed)
    document = read_document(spec)
    name = document.data.get("name")
    if not isinstance(name, str):
        raise UsageError(f"{spec} has no name")
    runs = store_root(spec, store) / "runs"
    numbered = re.compile(re.escape(name) + "-([0-9]{4,})")
    finished = [
        (int(match[1]), path)
        for path in (runs.iterdir() if runs.is_dir() else ())
        if (match := numbered.fullmatch(path.name)) and (path / RESULTS).is_file()
    ]
    if not finished:
        raise UsageError(f"{spec} has no finished run in {runs}; start one: {command_line('run', spec)}")
    return max(finished)[1]


def _stores(store: Path | None) -> Iterator[Path]:
    """Where runs may be that are named by their id alone: the store that is meant, else those here and one below."""
    named = os.environ.get(STORE_VARIABLE)
    if store is not None or named:
        yield store or Path(named or "")
        return
    yield Path(STORE_FOLDER)
    yield from sorted(Path().glob(f"*/{STORE_FOLDER}"))


def _where(store: Path | None) -> str:
    named = store or os.environ.get(STORE_VARIABLE)
    return str(named) if named else f"{STORE_FOLDER} here or one folder below"
