"""`customspec plugin new NAME`: a distribution with one technique, its tests and its CI, ready to publish."""

from __future__ import annotations

import keyword
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import click
from jinja2 import Environment, PackageLoader, StrictUndefined

from customspec import __version__
from customspec.errors import Exit, UsageError
from customspec.hookspecs import CONTRACT
from customspec.registry import discover
from customspec.spec import RESERVED

FILES: Mapping[str, str] = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".github/workflows/test.yaml": "test.yaml",
    "src/{package}/technique.py": "{family}.py",
    "tests/test_technique.py": "test_technique.py",
}
"""Each file's path, and the template that it comes from."""
EMPTY = ("src/{package}/__init__.py", "src/{package}/py.typed")
USAGE: Mapping[str, str] = {"prompting": "shots: 4", "tuning": "r: 16"}


@click.command("new")
@click.argument("name")
@click.option("--family", type=click.Choice(["prompting", "tuning"]), required=True, help="What kind of technique.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write [default: the distribution's name, customspec-NAME].",
)
def new(name: str, family: str, folder: Path | None) -> int:
    """Write a plugin with one technique, NAME: package, tests by the conformance kit, README and CI."""
    _check_name(name)
    words = {
        "name": name,
        "family": family,
        "distribution": f"customspec-{name.replace('_', '-')}",
        "package": f"customspec_{name}",
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "title": name.replace("_", " ").capitalize(),
        "usage": USAGE[family],
        "version": ".".join(__version__.split(".")[:2]),
        "contract": str(CONTRACT),
    }
    target = folder or Path(words["distribution"])
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} exists already and is not empty; nothing was written")
    for path, text in _files(words).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, encoding="utf-8")
    editable = shlex.quote(f"{target}[test]")
    click.echo(
        f"wrote {target}\nnext: python -m pip install --editable {editable} && pytest {shlex.quote(str(target))}"
    )
    return Exit.DONE


def _check_name(name: str) -> None:
    """Raises UsageError for what cannot name a new technique."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        better = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_0123456789")
        hint = f"; did you mean `{better}`?" if better and better != name else ""
        raise UsageError(f"`{name}` cannot name a technique: lower-case words joined by `_`, and no keyword{hint}")
    if name in RESERVED:
        raise UsageError(f"`{name}` is a key of a spec's entries and cannot name a technique; choose another")
    offers = discover().offers.get(("technique", name), ())
    if offers:
        hint = f"a name of your own, such as `my_{name}`, can be used beside it"
        raise UsageError(f"technique `{name}` is already offered by {offers[0]}; {hint}")


def _files(words: Mapping[str, str]) -> dict[str, str]:
    environment = Environment(  # the files are Python, TOML, YAML and Markdown: nothing to escape
        loader=PackageLoader("customspec.cli", "templates/plugin"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    rendered = {
        path.format(**words): environment.get_template(f"{template.format(**words)}.jinja").render(words)
        for path, template in FILES.items()
    }
    return rendered | {path.format(**words): "" for path in EMPTY}
