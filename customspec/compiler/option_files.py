"""Files and folders that a technique's options name: found, and their bytes told apart by a digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from customspec.compiler.entries import ChosenTechnique, Draft, blaming_plugin
from customspec.compiler.local_files import LocalFiles
from customspec.compiler.problems import Problems
from customspec.errors import Code
from customspec.hookspecs import ReadsFiles
from customspec.inputs.digests import path_digest
from customspec.inputs.paths import PathError, beside, check_tree


def resolve_files(drafts: tuple[Draft, ...], local: LocalFiles, problems: Problems) -> tuple[Draft, ...]:
    """The drafts with absolute paths in their prompting options. A draft of which a file is missing is left out, with a
    problem added."""
    located = []
    for draft in drafts:
        prompting = None if draft.prompting is None else _located(draft.prompting, local, problems)
        if prompting is not None or draft.prompting is None:
            located.append(replace(draft, prompting=prompting))
    return tuple(located)


def _located(chosen: ChosenTechnique, local: LocalFiles, problems: Problems) -> ChosenTechnique | None:
    if not isinstance(chosen.technique, ReadsFiles):
        return chosen
    with blaming_plugin(chosen):
        written = dict(chosen.technique.files(chosen.options))
    paths: dict[str, Path] = {}
    for option, name in written.items():
        try:
            paths[option] = check_tree(local.roots.locate(name), local.roots)
        except PathError as fault:
            problems.add(fault.code, (*chosen.at, option), str(fault), hint=fault.hint)
            return None
        if not paths[option].exists():
            message, hint = f"no such file or folder: {name}", beside(name, paths[option], "folders", Path.is_dir)
            problems.add(Code.DATA_MISSING, (*chosen.at, option), message, hint=hint)
            return None
    options = chosen.options.model_copy(update={option: str(path) for option, path in paths.items()})
    digests = {option: path_digest(path, local.digests) for option, path in paths.items()}
    return replace(chosen, options=options, files=digests)
