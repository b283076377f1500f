"""`customspec init [FOLDER]`: a first spec, from flags or a few questions."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from customspec.compiler import read_spec
from customspec.errors import Exit, SpecError, UsageError
from customspec.inputs.rows import RowError, read_rows
from customspec.prompts import Row, TemplateError
from customspec.registry import discover
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
def command(folder: Path, task: str | None, **answers: str | None) -> int:
    """Write a first spec into FOLDER. What no flag says is asked for on a terminal, else guessed from the data."""
    target = folder / FILE
    if target.exists():
        raise UsageError(f"{target} exists already; nothing was written")
    asked = _ask(folder, answers, task)
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(_checked(_spec(asked, folder)), encoding="utf-8")
    click.echo(f"wrote {target}\nnext: customspec validate {target}")
    return Exit.DONE


def _ask(folder: Path, answers: dict[str, str | None], task: str | None) -> dict[str, Any]:
    test = _answer("test", answers["test"], "File with test rows", "data/test.jsonl")
    train = _answer("train", answers["train"], "File with training rows", "data/train.jsonl")
    rows = _first_rows(folder / train, train)
    if not (folder / test).is_file():
        raise UsageError(f"no such file: {test}; name the file with test rows with --test")
    columns = _usable(list(rows[0].fields), train)
    user = _answer("user", answers["user"], "Template of the user's message", f"{{{{ {columns[0]} }}}}")
    answer = _answer("answer", answers["answer"], "Template of the answer", f"{{{{ {columns[-1]} }}}}")
    default = re.sub(r"[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("._-") or "first"
    return {
        "name": _answer("name", answers["name"], "Name of the spec", default),
        "model": _answer("model", answers["model"], "Base model", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        "train": train,
        "test": test,
        "user": user,
        "answer": answer,
        "task": task or _guess_task(rows, answer),
        "shots": min(8, max(1, len(rows) * 3 // 4)),  # a fifth is kept apart for validation
    }


def _usable(columns: list[str], file: str) -> list[str]:
    """Columns that a template can name."""
    usable = [column for column in columns if column.isidentifier()]
    if not usable:
        found = ", ".join(f"`{column}`" for column in columns)
        raise UsageError(f"{file}: no template can name the column {found}: letters, digits and _ only, commas between")
    return usable


def _answer(name: str, given: str | None, question: str, default: str) -> str:
    if given is not None:
        return given
    return str(click.prompt(f"{question} (--{name})", default=default, err=True)) if sys.stdin.isatty() else default


def _first_rows(path: Path, label: str) -> list[Row]:
    try:
        return list(read_rows("train", [(label, path)]))
    except RowError as error:
        raise UsageError(f"{error}; name the file with --train") from error


def _guess_task(rows: list[Row], answer: str) -> str:
    """Few distinct answers, each seen often, are choices."""
    from customspec.templates import Template

    try:
        template = Template(answer)
        distinct = {template.render(row.fields) for row in rows}
    except TemplateError as error:
        raise UsageError(f"--answer {answer}: {error}") from error
    return "classification" if len(distinct) * 3 <= len(rows) else "generation"


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


def _checked(text: str) -> str:
    """The text, once it is known to be a spec. Raises UsageError where an answer to a question made it invalid."""
    try:
        read_spec(parse(text, FILE), discover())
    except SpecError as error:
        raise UsageError(f"these answers make no spec: {error.problems[0].message}") from error
    return text


def _model(name: str, folder: Path) -> str:
    package, colon, file = name.partition(":")
    if colon:
        return MODEL_LINES["package"].format(name=package, file=file)
    local = (folder / name).exists() or name.endswith(".gguf") or name.startswith((".", "/")) or name.count("/") != 1
    return MODEL_LINES["path" if local else "hub"].format(name=json.dumps(name, ensure_ascii=False))
