"""Checkpoints of a step that is not finished: published whole, as results are, and gone when its result is there.

checkpoints/<key>/00000120/manifest.json, files/…   the number says how far the step had come
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from customspec.errors import CustomspecError
from customspec.inputs.regular import clear_away
from customspec.inputs.writing import private_folder
from customspec.store.disk import trouble
from customspec.store.drafts import draft
from customspec.store.objects import FILES, DamagedError, finish, place, verified

KEPT: Final = 2  # of each step: should the newest turn out damaged, the one before it is there

log = logging.getLogger("customspec")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that is as it was written: how far the step had come, plain values, and a folder of files."""

    number: int
    values: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Those of one step in one store; whoever writes holds the step's lock."""

    root: Path
    key: str
    step: str

    def write(self, number: int, fill: Callable[[Path], Mapping[str, Any]]) -> None:
        """Publish one; `fill` writes its files into a folder and returns its values. Older ones are then removed.

        Raises MachineError when the disk is full or fails; what was there before is still there then.
        """
        try:
            with draft(self.root / "tmp") as made:
                values = fill(private_folder(made / FILES))
                finish(made, self.key, self.step, dict(values))
                target = self._folder / f"{number:08d}"
                while not place(made, target):
                    _remove(target)  # of a run that came as far and then lost its way
        except CustomspecError:
            raise
        except Exception as error:  # torch and safetensors tell of a full disk in words of their own
            if (disk_fault := trouble(error, self.root)) is not None:
                raise disk_fault from error
            raise
        for older in self._numbered()[KEPT:]:
            _remove(older)

    def newest(self) -> Checkpoint | None:
        """The newest that is as it was written; damaged ones are removed, with a warning."""
        for folder in self._numbered():
            try:
                manifest = verified(folder, self.key)
            except DamagedError as damage:
                log.warning("%s: the checkpoint of step %d is damaged: %s", self.step, int(folder.name), damage)
                _remove(folder)
                continue
            return Checkpoint(int(folder.name), manifest["values"], folder / FILES)
        return None

    def clear(self) -> None:
        """Remove all of them."""
        if self._folder.is_dir():
            _remove(self._folder)
        with suppress(OSError):  # not there, or another step's are in it
            self._folder.parent.rmdir()

    @property
    def _folder(self) -> Path:
        return self.root / "checkpoints" / self.key

    def _numbered(self) -> list[Path]:
        """The newest first."""
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted((folder for folder in folders if folder.name.isdecimal()), reverse=True)


def _remove(folder: Path) -> None:
    """A reader sees the whole folder or none: the manifest goes first, so what is left of a kill is damaged."""
    with suppress(OSError):  # not there, or another thing
        (folder / "manifest.json").unlink()
    clear_away(folder)
