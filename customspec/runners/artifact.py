"""A training's artifact while it is made: each state that is kept is written whole before the one before it is
removed."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from customspec.store import link_tree

if TYPE_CHECKING:
    from torch import nn


class Artifact:
    """The best state so far, in `folder`; None while there is none. `room` is a folder of its own for them."""

    def __init__(self, write: Callable[[nn.Module, Path], None], room: Path) -> None:
        self._write, self._room = write, room
        self._numbers = itertools.count()
        self.folder: Path | None = None

    def save(self, model: nn.Module) -> None:
        """The model as it is now, in evaluation mode, so that no dropout gets into it."""
        from customspec.ml.batching import evaluating

        new = self._new()
        with evaluating(model):
            self._write(model, new)
        self._replace(new)

    def adopt(self, source: Path) -> None:
        """Take over what an earlier process kept."""
        new = self._new()
        link_tree(source, new)
        self._replace(new)

    def deliver(self, target: Path) -> None:
        """Move it into a folder that is there and empty."""
        assert self.folder is not None
        for path in self.folder.iterdir():
            path.rename(target / path.name)

    def _new(self) -> Path:
        new = self._room / f"state-{next(self._numbers)}"
        new.mkdir()
        return new

    def _replace(self, new: Path) -> None:
        old, self.folder = self.folder, new
        if old is not None:
            shutil.rmtree(old)
