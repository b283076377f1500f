"""Lock files: `customspec.lock` beside the spec, one section for each spec of the folder.

YAML, since the one reader of specs reads it, with the place of every mistake; and since each line says one thing, so
that a review sees what changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from customspec.cli.lock_text import LOCK_FILE, lock_text
from customspec.cli.printing import command_line
from customspec.cli.specs import read_document
from customspec.compiler.locking import LOCK, Section, commit_of, drift, section_of
from customspec.errors import RefusedError, UsageError
from customspec.inputs.paths import Roots, resolved
from customspec.inputs.writing import replace_file
from customspec.plan import Plan
from customspec.source import read

NAME: Final = "customspec.lock"


def lock_of(spec: Path) -> Path:
    """Where a spec's lock is; it need not be there."""
    return spec.resolve().parent / NAME


def read_lock(file: Path) -> Mapping[str, Section]:
    """The sections by spec. Raises SpecError for what is not YAML, UsageError for what is no lock."""
    if not Roots.of(file.parent).hold(resolved(file)):
        raise UsageError(f"{file} is a link that leads out of its folder")
    data = read(file, LOCK_FILE).data
    specs = data.get("specs")
    sections = specs if data.get("lock") == LOCK and isinstance(specs, dict) else {"": None}
    if not all(map(_is_section, sections.values())):
        raise UsageError(f"{file} is no lock of this version; make it anew with `customspec lock`")
    return dict(sections)


def _is_section(part: object) -> bool:
    if not (isinstance(part, dict) and isinstance(part.get("steps"), dict) and isinstance(part.get("models"), dict)):
        return False
    return all(isinstance(model, dict) for model in part["models"].values())


def locked_section(spec: Path) -> Section:
    """The spec's section. Raises RefusedError where there is none."""
    file = lock_of(spec)
    section = read_lock(file).get(spec.resolve().name) if os.path.lexists(file) else None
    if section is None:
        raise RefusedError(f"--locked: there is no lock of {spec}; make one with `{command_line('lock', spec)}`")
    return section


def write_lock(spec: Path, plan: Plan) -> Path:
    """Put the spec's section into its lock, beside those of its neighbours; neighbours that are gone leave it."""
    file = lock_of(spec)
    there = read_lock(file) if os.path.lexists(file) else {}
    kept = {name: section for name, section in there.items() if (file.parent / name).is_file()}
    text = lock_text({"lock": LOCK, "specs": {**kept, spec.resolve().name: section_of(plan)}})
    replace_file(file, text.encode(), mode=0o644)
    return file


def pins(spec: Path, section: Section) -> tuple[str, ...]:
    """The texts for `--set` that fix each hub model to its locked commit, wherever its branch has moved since."""
    data = read_document(spec).data
    places: list[tuple[str, Any]] = [("base_model", data.get("base_model"))]
    entries = data.get("techniques") or ()
    places += [
        (f"techniques.{at}.base_model", entry.get("base_model"))
        for at, entry in enumerate(entries)
        if isinstance(entry, dict)
    ]
    found = [(at, commit_of(section, ref["hub"])) for at, ref in places if isinstance(ref, dict) and "hub" in ref]
    return tuple(f'{at}.revision="{commit}"' for at, commit in found if commit is not None)


def check_locked(spec: Path, section: Section, plan: Plan) -> None:
    """Raises RefusedError, naming all that is not as it was locked."""
    changes = drift(section, section_of(plan))
    if changes:
        listed = "; ".join(changes)
        message = f"{spec} is not as {lock_of(spec).name} has it: {listed}"
        raise RefusedError(f"{message}. Review what changed, then `{command_line('lock', spec)}`")
