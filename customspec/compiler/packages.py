"""Which build of a distribution is installed: its version, and a digest that another build does not have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from customspec.inputs.digests import folder_digest, sha256_file
from customspec.plan import digest

LIBRARIES: Final = ("peft", "torch", "transformers")
OURS: Final = "customspec"
_OF_THE_MACHINE: Final = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", ".pyc")
_SOURCES: Final = (".py", ".toml", ".jinja")


def packages_of(plugins: Iterable[str]) -> dict[str, dict[str, str]]:
    """customspec itself, the plugins' distributions, and the libraries that results depend on."""
    return {name: dict(package_of(name)) for name in sorted({OURS, *LIBRARIES, *plugins})}


@cache
def package_of(name: str) -> tuple[tuple[str, str], ...]:
    """The version, and the digest of the files that the installer was given, equal on every machine."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return (("record", "not installed"), ("version", "not installed"))
    record = _of_sources(found) if _is_editable(found) else _of_record(found.read_text("RECORD") or "")
    return (("record", record), ("version", found.version))


def _is_editable(found: Distribution) -> bool:
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        return bool(origin.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def _of_record(record: str) -> str:
    """Without what the installer writes for this machine: scripts outside of the package, caches, its own notes."""
    lines = (line for line in record.splitlines() if not line.startswith(("..", "/")))
    return digest(sorted(line for line in lines if not line.rsplit(",", 2)[0].endswith(_OF_THE_MACHINE)))


def _of_sources(found: Distribution) -> str:
    """Of an editable installation: what its modules say now."""
    modules = sorted({entry.value.partition(":")[0].partition(".")[0] for entry in found.entry_points})
    files = {f"{name}/{path}": sha256_file(whole) for name in modules for path, whole in _files(name)}
    return "editable " + folder_digest(files)


def _files(module: str) -> Iterator[tuple[str, Path]]:
    spec = find_spec(module)
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        for path in sorted(folder.rglob("*")):
            if path.suffix in _SOURCES and path.is_file():
                yield path.relative_to(folder).as_posix(), path
    if spec is not None and spec.origin is not None and not spec.submodule_search_locations:
        yield "", Path(spec.origin)
