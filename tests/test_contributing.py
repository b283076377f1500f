"""The map in CONTRIBUTING.md leads to files that are there, and has every package."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py|\.toml))`", TEXT))
"""Folders, which end with a stroke, and files: in the package, or beside it."""


def test_every_place_that_it_names_is_there() -> None:
    assert len(NAMED) > 40
    assert [place for place in sorted(NAMED) if not any((base / place).exists() for base in places())] == []


def test_every_package_and_module_is_on_the_map() -> None:
    modules = {path.name for path in (ROOT / "customspec").glob("*.py") if not path.name.startswith("__")}
    packages = {f"{path.parent.name}/" for path in (ROOT / "customspec").glob("*/__init__.py")}
    assert (modules | packages) - NAMED == set()


def places() -> tuple[Path, ...]:
    return ROOT / "customspec", ROOT
