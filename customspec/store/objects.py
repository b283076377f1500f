"""What a published object is: a folder of read-only files, and a manifest of their digests, with its own checksum."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from customspec.errors import StepError
from customspec.inputs.checksummed import checked_value, read_checksummed, write_checksummed
from customspec.inputs.digests import sha256_file
from customspec.inputs.regular import read_regular
from customspec.inputs.writing import private_folder
from customspec.plan import Result

FILES: Final = "files"
MANIFEST: Final = "manifest.json"

_DAMAGE: Final = frozenset(  # not: too many open files
    {errno.EIO, errno.EISDIR, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.EFBIG}
)
_OCCUPIED: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})


class DamagedError(Exception):
    """An object is not as it was published; the message names the file."""


def finish(draft: Path, key: str, step: str, values: Any) -> Mapping[str, Any]:
    """Make a draft ready for its place: read-only, on the disk, its manifest written last. Returns the manifest.

    Raises StepError when there is more in it than files and folders, and OSError.
    """
    manifest = {"key": key, "step": step, "values": values, "files": _settle(draft / FILES, step)}
    write_checksummed(draft / MANIFEST, manifest)
    (draft / MANIFEST).chmod(0o444)
    sync(draft / MANIFEST)
    sync(draft)
    return manifest


def place(draft: Path, target: Path) -> bool:
    """Rename a finished draft to its place, for good; False when something is there already. Raises OSError."""
    private_folder(target.parent)
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        return False
    sync(target.parent)
    for above in target.parents[1:3]:  # `objects/<2 hex>` and `objects` may be new as well
        sync(above)
    return True


def manifest_of(folder: Path, key: str) -> Mapping[str, Any] | None:
    """The manifest of an object that is there, or None; the object's files are not read."""
    manifest: Mapping[str, Any] | None = read_checksummed(folder / MANIFEST)
    return manifest if _is_manifest(manifest, key) else None


def digests_of(result: Result) -> dict[str, str]:
    """The digest of each of the result's files, by its path; none of a result that was not published."""
    manifest = manifest_of(result.folder.parent, result.key)
    return {} if manifest is None else {file["path"]: file["sha256"] for file in manifest["files"]}


def verified(folder: Path, key: str) -> Mapping[str, Any]:
    """The manifest of an object that is as it was published. Raises DamagedError, or OSError for other reasons."""
    try:
        manifest: Any = checked_value(read_regular(folder / MANIFEST))
        if not _is_manifest(manifest, key):
            raise DamagedError(f"{MANIFEST} has changed")
        _verify_files(folder / FILES, manifest["files"])
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise
        raise DamagedError(str(error)) from error
    whole: Mapping[str, Any] = manifest
    return whole


def link_tree(source: Path, target: Path) -> None:
    """Put a published object's files into a folder, by hard link or else by copy; what has their names is replaced.

    The files are read-only, and as links they are the object's own: change a copy. Raises OSError.
    """
    private_folder(target)
    for path in _files(source):
        link = target / path.relative_to(source)
        private_folder(link.parent)
        link.unlink(missing_ok=True)
        try:
            link.hardlink_to(path)
        except OSError:  # another file system, or one without links
            shutil.copy(path, link)


def _is_manifest(manifest: Any, key: str) -> bool:
    """Whether a value is the manifest of that object: its checksum says that nothing changed, not what it is."""
    return (
        isinstance(manifest, dict)
        and manifest.get("key") == key
        and isinstance(manifest.get("step"), str)
        and isinstance(manifest.get("values"), dict)
        and isinstance(manifest.get("files"), list)
        and all(isinstance(entry, dict) and isinstance(entry.get("path"), str) for entry in manifest["files"])
    )


def _settle(folder: Path, step: str) -> list[dict[str, Any]]:
    """Make a folder's files read-only and put all of it on the disk; returns its part of the manifest."""
    files = _files(folder)
    for path in files:
        if not _is_regular(path):
            raise StepError(f"step {step}: {path.relative_to(folder)} is not a regular file")
        path.chmod(0o444)
    sync_tree(folder)
    return [_entry(path, folder) for path in files]


def _verify_files(folder: Path, expected: Sequence[Mapping[str, Any]]) -> None:
    if not folder.is_dir():
        raise DamagedError(f"{FILES} is missing")
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for entry in expected:
        path = found.pop(entry["path"], None)
        if path is None:
            raise DamagedError(f"{entry['path']} is missing")
        # its size first: one that has grown to terabytes, of which nothing was written, would be read for hours
        if not _is_regular(path) or path.stat().st_size != entry.get("size") or _entry(path, folder) != entry:
            raise DamagedError(f"{entry['path']} has changed")
    if found:  # a library may load such a file in place of the one that belongs there
        raise DamagedError(f"{min(found)} does not belong there")


def _files(folder: Path) -> list[Path]:
    """All that is in a folder and its subfolders and is no folder itself, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _entry(path: Path, root: Path) -> dict[str, Any]:
    return {"path": path.relative_to(root).as_posix(), "size": path.stat().st_size, "sha256": sha256_file(path)}


def sync_tree(folder: Path) -> None:
    """Put all of a folder on the disk, before it is renamed to its place. Raises OSError."""
    for path in _files(folder):
        sync(path)
    for parent in {folder, *(path for path in folder.rglob("*") if path.is_dir())}:
        sync(parent)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
