"""What a plugin changes for the whole process is put back after its call, with a warning: the next step starts as if
alone."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("customspec")


@contextmanager
def contained(who: str, *, seeds: bool = True, draws: bool = False) -> Iterator[None]:
    """For a call into a plugin: working directory, torch's settings and (`seeds`) its seed are then as before; what it
    prints goes to stderr, since stdout is for results. With `draws` it leaves no trace in random numbers either."""
    folder = _here()
    torch_before = _torch_settings()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        changed = []
        if folder is not None and _here() != folder:
            with suppress(OSError):  # it was removed
                os.chdir(folder)
            changed.append("the working directory")
        changed += _put_back(torch_before, seeds=seeds, draws=draws)
        if changed:
            log.warning("%s changed %s: put back", who, ", ".join(changed))


def containing(call: Callable[P, T], who: str, *, seeds: bool = True, draws: bool = False) -> Callable[P, T]:
    """The function with every call of it contained."""

    @wraps(call)
    def within(*arguments: P.args, **named: P.kwargs) -> T:
        with contained(who, seeds=seeds, draws=draws):
            return call(*arguments, **named)

    return within


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None


def _torch_settings() -> object:
    if "torch" not in sys.modules:
        return None  # nothing is computed yet
    from customspec.ml.settings import Settings

    return Settings.now()


def _put_back(before: object, *, seeds: bool, draws: bool) -> list[str]:
    if before is None:
        return []
    from customspec.ml.settings import Settings

    assert isinstance(before, Settings)
    return before.put_back(seeds=seeds, draws=draws)
