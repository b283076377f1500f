"""A person's own configuration: what they set for themselves, for all specs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from customspec.compiler.problems import Problems
from customspec.compiler.validation import validate
from customspec.errors import Code
from customspec.source import Kind, read
from customspec.spec import Strict, Texts

CONFIGURATION: Final = Kind(
    "configuration",
    missing="delete it, or write a file of this name",
    start="delete it, or allow folders: `allow_roots: [/data]`",
    shrink="allow fewer folders",
    most_bytes=256 * 1024,
    most_values=10_000,
)


class Configuration(Strict):
    """What a person sets for themselves, for all specs. A spec can set none of it."""

    allow_roots: Texts | None = None
    """Folders beside the spec's own that specs may name files in."""


def read_configuration(file: Path) -> tuple[Path, ...]:
    """The folders that it allows. Raises SpecError for a configuration that is wrong."""
    problems = Problems(read(file, CONFIGURATION))
    configuration = validate(Configuration, problems.document.data, problems)
    folders = [Path(text).expanduser() for text in (configuration and configuration.allow_roots) or ()]
    for index, folder in enumerate(folders):
        if not folder.is_absolute():
            message = f"{folder} is relative; a configuration serves all specs, so its folders are whole paths"
            hint = f"write it whole: {folder.resolve()}"
            problems.add(Code.WRONG_VALUE, ("allow_roots", index), message, hint=hint)
    problems.stop_if_any()
    return tuple(folders)
