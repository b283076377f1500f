"""The maps lead to files that are there, and have every file: CONTRIBUTING.md's, and those that packages begin with."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("package", ["compiler", "decide", "inputs", "ml", "report", "runners"])
def test_a_packages_own_map_has_its_modules(package: str) -> None:
    folder = ROOT / "customspec" / package
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    words = set(re.findall(r"[a-z_]+/?", text))
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {f"{path.name}/" for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert (modules | folders) - words == set()
    assert {word for word in words if "_" in word or word.endswith("/")} - modules - folders == set()


def places() -> tuple[Path, ...]:
    return ROOT / "customspec", ROOT
