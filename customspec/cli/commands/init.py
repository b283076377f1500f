"""`customspec init [FOLDER]`: a first spec, from flags or a few questions."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from customspec.cli.output import show_problems
from customspec.cli.places import store_root
from customspec.cli.printing import command_line
from customspec.cli.roots import allow_root_option, roots_of
from customspec.compiler import compile_document
from customspec.errors import Exit, MachineError, SpecError, UsageError
from customspec.inputs.paths import Roots, resolved
from customspec.inputs.rows import RowError, read_rows
from customspec.prompts import Row, TemplateError, is_plain, reference
from customspec.registry import discover
from customspec.report.logs import tell
from customspec.report.text import escape
from customspec.source import parse

FILE = "spec.yaml"
MODEL_LINES = {
    "hub": "  hub: {name}   # pin it: revision: <40-digit commit>",
    "path": "  path: {name}",
    "package": "  package: {name}\n  file: {file}",
}


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--name", help="Name of the spec.")
@click.option(
    "--model", help="owner/name on the hub, a folder or .gguf file, or PACKAGE:FILE.gguf, PACKAGE being installed."
)
@click.option("--train", help="File with training rows, relative to FOLDER.")
@click.option("--test", help="File with test rows, relative to FOLDER.")
@click.option("--user", help="Template of the user's message, for instance '{{ text }}'.")
@click.option("--answer", help="Template of the answer, for instance '{{ label }}'.")
@click.option("--task", type=click.Choice(["classification", "generation"]))
@allow_root_option
def command(folder: Path, task: str | None, allow_root: tuple[Path, ...], **answers: str | None) -> int:
    """Write a first spec into FOLDER. What no flag says is asked for on a terminal, else guessed from the data."""
    target = folder / FILE
    if target.exists():
        raise UsageError(f"{target} exists already; nothing was written")
    text = _spec(_ask(folder, answers, task), folder)
    try:
        _check(text, target, roots_of(target, allow_root))
    except SpecError as error:
        show_problems(error.problems, {str(target): text})
        tell("nothing was written: with these answers the spec would not be valid")
        return error.exit
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    allowing = (part for root in allow_root for part in ("--allow-root", root))
    click.echo(f"wrote {escape(str(target))}\nnext: {command_line('validate', target, *allowing)}")
    return Exit.DONE


def _check(text: str, target: Path, roots: Roots) -> None:
    """Raises SpecError unless the text, as `target`, is a spec that can run, up to a model that is to be fetched."""
    store = store_root(target, None)
    with TemporaryDirectory() as apart:
        cache = store if store.is_dir() else Path(apart)
        compile_document(parse(text, str(target)), discover(), roots=roots, cache=cache)


def _ask(folder: Path, answers: dict[str, str | None], task: str | None) -> dict[str, Any]:
    test = _answer("test", answers["test"], "File with test rows", "data/test.jsonl")
    train = _answer("train", answers["train"], "File with training rows", "data/train.jsonl")
    rows, tests = _rows(folder, "train", train), _rows(folder, "test", test)
    columns = _usable(list(rows[0].fields), train)
    likely = _likely_answer(columns, rows, tests)
    shown = answers["answer"] or reference(likely)
    asked = next((column for column in columns if reference(column) not in shown), columns[0])
    user = _answer("user", answers["user"], "Template of the user's message", reference(asked))
    answer = _answer("answer", answers["answer"], "Template of the answer", reference(likely))
    default = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("._-") or "first"
    return {
        "name": _answer("name", answers["name"], "Name of the spec", default),
        "model": _answer("model", answers["model"], "Base model", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        "train": train,
        "test": test,
        "user": user,
        "answer": answer,
        "task": task or ("classification" if _are_choices(answer, rows, tests) else "generation"),
        "shots": min(8, max(1, len(rows) * 3 // 4)),  # a fifth is kept apart for validation
    }


def _usable(columns: list[str], file: str) -> list[str]:
    """Columns to ask with, and for: those of plain names, if that is enough."""
    plain = [column for column in columns if is_plain(column)]
    if len(columns) == 1 and not plain:
        raise UsageError(f"{file}: the one column is `{columns[0]}`: a question and an answer take two, commas between")
    return plain if len(plain) > 1 else columns


def _answer(name: str, given: str | None, question: str, default: str) -> str:
    if given is not None:
        return given
    return str(click.prompt(f"{question} (--{name})", default=default, err=True)) if sys.stdin.isatty() else default


def _rows(folder: Path, split: str, name: str) -> list[Row]:
    try:
        return list(read_rows(split, [(name, resolved(folder / name))]))
    except RowError as error:
        hint = f" ({error.hint})" if error.hint else ""
        if error.exit == Exit.ENVIRONMENT:
            raise MachineError(f"{error}{hint}") from error
        raise UsageError(f"{error}{hint}; name the file with {split} rows with --{split}") from error


def _likely_answer(columns: Sequence[str], rows: Sequence[Row], tests: Sequence[Row]) -> str:
    """The last column that can be chosen from, else the last one."""
    choosable = (column for column in reversed(columns) if _are_choices(reference(column), rows, tests))
    return next(choosable, columns[-1])


def _are_choices(answer: str, rows: Sequence[Row], tests: Sequence[Row]) -> bool:
    """Whether the answers are few, each seen often, and those of the test rows all among them."""
    from customspec.templates import Template

    try:
        template = Template(answer)
        distinct, later = ({template.render(row.fields).strip() for row in part} for part in (rows, tests))
    except TemplateError:
        return False  # the whole check tells what is wrong with a template
    return 1 < len(distinct) <= len(rows) / 3 and later <= distinct


def _spec(asked: dict[str, Any], folder: Path) -> str:
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in asked.items()}
    classified = asked["task"] == "classification"
    choices = "  choices: from_data             # or a list of the possible answers\n" if classified else ""
    goal = "goal: {metric: accuracy, at_least: 0.80}\n" if classified else ""
    return f"""\
customspec: 1
name: {quoted["name"]}

base_model:
{_model(asked["model"], folder)}

data:
  train: {quoted["train"]}
  test: {quoted["test"]}             # without `validation`, a fifth of the training rows is kept apart

prompt:
  user: {quoted["user"]}
  answer: {quoted["answer"]}
{choices}
techniques:
  - zero_shot
  - few_shot: {{shots: {asked["shots"]}}}
  - lora: {{r: 8}}

{goal}strategy: compare                # or: ladder, which climbs from cheap to expensive and stops at the goal
"""


def _model(name: str, folder: Path) -> str:
    package, colon, file = name.partition(":")
    if colon:
        return MODEL_LINES["package"].format(name=package, file=file)
    local = (
        resolved(folder / name).exists()
        or name.endswith(".gguf")
        or name.startswith((".", "/"))
        or name.count("/") != 1
    )
    return MODEL_LINES["path" if local else "hub"].format(name=json.dumps(name, ensure_ascii=False))
