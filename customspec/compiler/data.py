"""What `data` names: the files found, read once and divided, every fault at the line that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from customspec.compiler.local_files import LocalFiles
from customspec.compiler.problems import Problems
from customspec.errors import Code
from customspec.inputs.columnar import check_fetches
from customspec.inputs.digests import Digests, folder_digest
from customspec.inputs.hub_rows import cached_rows
from customspec.inputs.paths import PathError, Roots
from customspec.inputs.remembered import Remembered
from customspec.inputs.rows import RowError
from customspec.inputs.splits import SPLITS, Files, Splits, divide, group_of, read_splits
from customspec.prompts import Row
from customspec.source import KeyPath
from customspec.spec import DataSpec, Spec, Split


@dataclass(frozen=True)
class ResolvedData:
    """The rows, and how the data step can make them again. `rows` is None while a hub data set is not fetched.

    `lacking`: the splits that are not in `rows` as a run would have them, since something is wrong. `comparable`:
    whether training and test rows were read, and are not the same for another reason that was told.
    """

    files: Files
    digests: Mapping[str, str | None]
    rule: Mapping[str, Any]
    rows: Splits | None
    given: Splits | None
    unresolved: tuple[str, ...]
    lacking: frozenset[str] = frozenset()
    comparable: bool = False

    @property
    def train(self) -> Sequence[Row] | None:
        """The rows to learn from; None where they are not there as a run would have them."""
        return None if self.rows is None or "train" in self.lacking else self.rows.train


def resolve_data(spec: Spec, local: LocalFiles, problems: Problems) -> ResolvedData:
    """Find, read and divide the splits. What is wrong is added to `problems`; what is there is read all the same."""
    before = len(problems)
    files, unresolved = _find_files(spec.data, local, problems)
    rule = _rule(spec)
    rows = given = None
    lacking = frozenset(name for name in SPLITS if problems.doubts(f"data.{name}"))
    comparable = False
    if not unresolved:
        found = len(problems)
        _check_same_file(files, problems)
        apart = len(problems) == found
        given, unread = _read(spec.data, files, problems)
        lacking |= unread
        lacking |= frozenset() if _check_columns(spec.data, given, problems) else set(SPLITS)
        comparable = apart and lacking.isdisjoint(("train", "test"))
        undivided = rule["split_off"] and ("train" in lacking or problems.doubts("data.validation", "data.group"))
        rows = None if undivided else _divide(given, rule, problems, local.remembered)
        lacking |= frozenset() if rows else {"train", "validation"}
    known: Files = files if len(problems) == before else {}  # of what cannot be read nobody asks for the digest
    digests = _digests(spec.data, known, local.digests)
    return ResolvedData(files, digests, rule, rows or given, given, unresolved, lacking, comparable)


def chooses_by_validation(data: ResolvedData) -> bool:
    """Whether there are validation rows, given or to be split off."""
    return bool(data.rule["split_off"] or "validation" in data.files or "validation" in data.digests)


def _find_files(data: DataSpec, local: LocalFiles, problems: Problems) -> tuple[Files, tuple[str, ...]]:
    files: dict[str, list[tuple[str, Path]]] = {}
    unresolved: list[str] = []
    for name in SPLITS:
        split: Split | None = getattr(data, name)
        if split is None or problems.doubts(f"data.{name}"):
            continue
        if split.hub is None:
            located = _located(name, split.path or (), local.roots, problems)
            files |= {name: located} if len(located) == len(split.path or ()) else {}
        elif (fetched := cached_rows(split, local.cache)) is not None:
            files[name] = [(split.hub, fetched)]
        else:
            _check_fetches(name, split.hub, problems)
            unresolved.append(split.hub)
    return files, tuple(unresolved)


def _check_fetches(name: str, hub: str, problems: Problems) -> None:
    try:
        check_fetches(hub)
    except RowError as fault:
        problems.add(fault.code, ("data", name, "hub"), str(fault), hint=fault.hint, exit=fault.exit)


def _located(split: str, names: Sequence[str], roots: Roots, problems: Problems) -> list[tuple[str, Path]]:
    located: list[tuple[str, Path]] = []
    for index, name in enumerate(names):
        try:
            located.append((name, roots.locate(name)))
        except PathError as fault:
            problems.add(fault.code, _file_path(split, index, problems), str(fault), hint=fault.hint)
    return located


def _rule(spec: Spec) -> dict[str, Any]:
    """See `inputs.splits.divide`."""
    split_off = spec.data.validation is None and spec.data.train is not None
    stratify = answer_of(spec) if split_off and spec.prompt.choices is not None else None
    return {
        "split_off": split_off,
        "seed": spec.seeds[0] if split_off else None,
        "group": spec.data.group if split_off else None,
        "stratify": stratify,
    }


def answer_of(spec: Spec) -> str | None:
    """A template that gives a row's answer; for chat data, that of the last assistant's turn."""
    column = spec.prompt.messages
    if column is None:
        return spec.prompt.answer
    return f"{{{{ {column}[-1].content }}}}" if column.isidentifier() else None


def _read(data: DataSpec, files: Files, problems: Problems) -> tuple[Splits, frozenset[str]]:
    """The splits that can be read, and the names of those that cannot."""
    read: dict[str, Any] = {}
    for name, paths in files.items():
        try:
            read[name] = read_splits({name: paths}).named(name)
        except RowError as fault:
            at = _file_path(name, _file_at_fault(str(fault), [label for label, _ in paths]), problems)
            problems.add(fault.code, at, str(fault), hint=fault.hint, exit=fault.exit)
    wanted = {name for name in SPLITS if getattr(data, name) is not None}
    return Splits(**read), frozenset(wanted - read.keys())


def _file_at_fault(message: str, labels: Sequence[str]) -> int:
    """Which of a split's files a fault is about: the one that its message names first."""
    places = [(message.find(label), -len(label), index) for index, label in enumerate(labels) if label in message]
    return min(places, default=(0, 0, 0))[2]


def _file_path(split: str, index: int, problems: Problems) -> KeyPath:
    """Where the spec names a split's file, in whichever of its forms the split is written."""
    written = problems.document.data["data"][split]
    return ("data", split, "path", index) if isinstance(written, Mapping) else ("data", split, index)


def _check_same_file(files: Files, problems: Problems) -> None:
    seen: dict[tuple[int, int], tuple[str, int]] = {}
    for name, paths in files.items():
        for index, (_, path) in enumerate(paths):
            if not path.is_file():
                continue
            identity = (path.stat().st_dev, path.stat().st_ino)
            other, at = seen.setdefault(identity, (name, index))
            if other != name:
                message = f"`{name}` is the same file as `{other}`; a score on rows seen before means nothing"
                hint = f"put the {name} rows into a file of their own, which `{other}` does not name"
                problems.add(Code.DATA_SAME_FILE, _file_path(name, index, problems), message, hint=hint)
            elif at != index:
                message = f"`{name}` has this file twice: each of its rows would count twice"
                problems.add(Code.DATA_SAME_FILE, _file_path(name, index, problems), message, hint="remove one")


def _check_columns(data: DataSpec, rows: Splits, problems: Problems) -> bool:
    columns = {name: sorted(part[0].fields) for name in SPLITS if (part := rows.named(name))}
    lacking = next((name for name, found in columns.items() if data.group not in found), None)
    if data.group is None:
        return True
    if lacking is None:
        return _check_groups(data.group, rows, problems)
    message = f"`{data.group}` is not a column of the {lacking} rows"
    problems.add(Code.DATA_GROUP, ("data", "group"), message, hint=f"columns: {', '.join(columns[lacking])}")
    return False


def _check_groups(column: str, rows: Splits, problems: Problems) -> bool:
    """No group stands in two of the given splits."""
    seen: dict[str, tuple[str, str]] = {}
    for name in SPLITS:
        for row in rows.named(name):
            first, place = seen.setdefault(group_of(row, column), (name, row.place))
            if first != name:
                message = f"{row.place} ({name}) and {place} ({first}) have the same `{column}`"
                problems.add(Code.DATA_GROUP, ("data", "group"), message, hint="keep whole groups in one split")
                return False
    return True


def _divide(rows: Splits, rule: Mapping[str, Any], problems: Problems, remembered: Remembered) -> Splits | None:
    try:
        return divide(rows, rule, remembered)
    except ValueError as fault:  # a template that fails here is reported, with its place, by the prompt's own check
        if rule["stratify"] is None:
            message, hint = f"no validation rows can be split off: {fault}", "add rows, or name a file as `validation`"
            problems.add(Code.TOO_FEW_ROWS, ("data", "train"), message, hint=hint)
            return None
        return _divide(rows, {**rule, "stratify": None}, problems, remembered)


def _digests(data: DataSpec, files: Files, digests: Digests) -> dict[str, str | None]:
    found: dict[str, str | None] = {name: None for name in SPLITS if getattr(data, name) is not None}
    for name, paths in files.items():
        if all(path.is_file() for _, path in paths):
            found[name] = folder_digest({str(index): digests.sha256(path) for index, (_, path) in enumerate(paths)})
    return found
