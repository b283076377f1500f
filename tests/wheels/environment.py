"""Wheels, and environments of their own to install them into; the dependencies are this environment's."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"

[project.entry-points.customspec]
"{entry}" = "{module}"

[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, apart from the one that the tests run in."""

    root: Path

    @classmethod
    def create(cls, root: Path, wheels: Iterable[Path]) -> Environment:
        """With these wheels installed by pip, and everything that this environment has but customspec."""
        venv.create(root, symlinks=True)
        made = cls(root)
        site = Path(made.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
        # a path in a .pth file is searched, but its own .pth files are not read: customspec's editable install is one
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        install = ["--python", str(root / "bin" / "python"), "install", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([sys.executable, "-m", "pip", *install, *map(str, wheels)], check=True, capture_output=True)
        return made

    def run(self, program: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """One of the environment's programs, to its end."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        command = [str(self.root / "bin" / program), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd or self.root, env=clean, capture_output=True, text=True, check=False)


def build(project: Path, wheels: Path) -> Path:
    """The wheel of a project, in the folder `wheels`."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    before = set(wheels.glob("*.whl"))
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (made,) = set(wheels.glob("*.whl")) - before
    return made


def one_module(folder: Path, distribution: str, entry: str, source: str, version: str = "1.0") -> Path:
    """A project of one module, which an entry point names."""
    module = distribution.replace("-", "_")
    folder.mkdir(parents=True)
    words = {"distribution": distribution, "version": version, "entry": entry, "module": module}
    (folder / "pyproject.toml").write_text(PROJECT.format(**words))
    (folder / f"{module}.py").write_text(dedent(source))
    return folder
