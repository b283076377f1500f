"""Where a spec's paths may lead: into the spec's own folder, and where the person who runs it has allowed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from customspec.errors import Code
from customspec.suggest import closest

LISTED: Final = 8  # names in one hint
STORE_FOLDER: Final = ".customspec"  # beside a spec, where the person names no other store
VARIABLE: Final = re.compile(r"\$\{\w+\}|(?:^|/)\$\w+|%\w+%")
DRIVE: Final = re.compile(r"[A-Za-z]:")
LONGEST: Final = 10_000  # characters: more than a kernel takes, and to follow more takes long
ALLOWING = "files elsewhere are allowed by who runs it: `--allow-root FOLDER`, or `allow_roots` in the configuration"


class PathError(ValueError):
    """A path that leads where no spec may lead."""

    code = Code.PATH_REFUSED
    hint = ALLOWING


class LongPathError(PathError):
    """A path that no file can have, and that would take long to follow."""

    hint = "is it a path?"


@dataclass(frozen=True, slots=True)
class Roots:
    """The folder that relative paths begin in, and the folders beside it that were allowed. All are whole paths."""

    folder: Path
    allowed: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folder: Path, allowed: tuple[Path, ...] = ()) -> Roots:
        return cls(folder.resolve(), tuple(path.resolve() for path in allowed))

    def locate(self, written: str) -> Path:
        """The whole path of what a spec names, links followed; it need not exist. Raises PathError."""
        if len(written) > LONGEST:
            raise LongPathError(f"a path of {len(written):,} characters; no file has one so long")
        path, absolute = self.folder / written, Path(written).is_absolute()
        whole = resolved(path)
        if self._are_allowed(whole) or (not absolute and self.hold(whole)):
            return whole
        if absolute:
            raise PathError(f"a spec's paths are relative to it, and {written} is absolute")
        if not self.hold(Path(os.path.normpath(path))):
            raise PathError(f"{written} leads out of the spec's folder")
        raise PathError(f"{written} is a link that leads out of the spec's folder: to {whole}")

    def hold(self, whole: Path) -> bool:
        """Whether a whole path lies in one of the folders."""
        return whole.is_relative_to(self.folder) or self._are_allowed(whole)

    def _are_allowed(self, whole: Path) -> bool:
        return any(whole.is_relative_to(folder) for folder in self.allowed)


def there(names: Sequence[str], what: str) -> str:
    """The hint that lists what is there instead: a few names, which may be none."""
    shown = ", ".join([*names[:LISTED], *(["…"] if len(names) > LISTED else [])])
    return f"{what} there: {shown}" if names else f"there are no {what} there"


def beside(written: str, path: Path, what: str, fits: Callable[[Path], bool] = lambda _: True) -> str:
    """The hint for a path that leads to nothing: what is nearly called so, or else what is there that fits."""
    if VARIABLE.search(written):
        return "variables are not expanded in a spec: write the path itself, relative to the spec"
    if "\\" in written:
        is_of_windows = DRIVE.match(written) or written.startswith("\\")
        return "a path is relative to the spec, its folders parted by `/`" if is_of_windows else _slashed(written)
    if not path.parent.is_dir():
        return f"there is no folder {PurePath(written).parent}"
    found: list[str] = []
    with suppress(OSError, ValueError):
        found = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    near = closest(path.name, found, {})
    if near:
        return f"did you mean {PurePath(written).with_name(near)}?"
    return there([name for name in found if fits(path.parent / name)], what)


def _slashed(written: str) -> str:
    return f"folders are parted by `/`: write {written.replace(chr(92), '/')}"


def check_tree(path: Path, roots: Roots) -> Path:
    """The path, if no link below it leads out, and all is files and folders. Raises PathError."""
    for inner in path.rglob("*") if path.is_dir() else ():
        whole = resolved(inner)
        if not roots.hold(whole):
            raise PathError(f"{inner.name} is a link that leads out of the spec's folder: to {whole}")
        if not (whole.is_file() or whole.is_dir()):
            raise PathError(f"{inner.name} is not a regular file")
    return path


def resolved(path: Path) -> Path:
    """The path with its links followed; where that cannot be done, as it is written, without `..`."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or a name that no file can have
        return Path(os.path.normpath(path))
