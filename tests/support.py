"""What tests of whole commands share: a tiny model in a folder, data, specs, and how a command ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from customspec.testing.models import CHAT_TEMPLATE, make_model, make_tokenizer

__all__ = [
    "CHAT_TEMPLATE",
    "Ended",
    "Rows",
    "Workspace",
    "colours",
    "example",
    "long_form_of",
    "make_model",
    "make_tokenizer",
    "run",
]

WORDS = {"red": "warm", "orange": "warm", "amber": "warm", "blue": "cold", "teal": "cold", "violet": "cold"}
Rows = Sequence[Mapping[str, Any]]


def run(customspec: Callable[..., Ended], *arguments: str | Path) -> Any:
    """The results document of `customspec run`, which must succeed."""
    ended = customspec("run", *arguments, "--json")
    assert ended.code == 0, ended.err
    return ended.json


def long_form_of(values: Iterable[Any], chosen: Callable[[Any], bool]) -> list[Any]:
    """Values of a test's parameter; those chosen are tried by `make test-faults` alone."""
    return [pytest.param(value, marks=pytest.mark.faults) if chosen(value) else value for value in values]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Workspace:
    """A folder with a tiny model, data of two classes, and whatever specs a test writes."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def rows(self, name: str, rows: Rows) -> Path:
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def spec(self, *lines: str, name: str = "spec.yaml", prompt: str = "") -> Path:
        """The usual spec with more lines at its end; `prompt` replaces the usual prompt."""
        return self.write(name, SPEC.format(prompt=prompt or PROMPT) + "\n".join(lines) + "\n")

    def run_folder(self, document: Mapping[str, Any]) -> Path:
        """Where a run lies, by its results document."""
        return self.root / ".customspec" / "runs" / str(document["run"])

    def candidate_folder(self, document: Mapping[str, Any], key: str) -> Path:
        """What a run keeps of a candidate."""
        return self.run_folder(document) / "candidates" / key

    def run(self, *arguments: str | Path, **environment: str) -> Ended:
        """customspec in a process of its own, in this folder."""
        command = [sys.executable, "-m", "customspec", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, env={**os.environ, **environment}, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)


SPEC = """\
customspec: 1
name: colours
base_model: {{path: model}}
data: {{train: train.jsonl, validation: validation.jsonl, test: test.jsonl}}
{prompt}
"""
PROMPT = """\
prompt:
  system: Say whether the colour is warm or cold.
  user: "{{ text }}"
  answer: "{{ label }}"
  choices: from_data"""


def colours(count: int, start: int = 0) -> list[dict[str, str]]:
    """Rows that a tiny model can learn: the class is in the colour's name."""
    names = sorted(WORDS)
    return [
        {"text": f"number {start + i} is {names[i % len(names)]}", "label": WORDS[names[i % len(names)]]}
        for i in range(count)
    ]


def example(name: str) -> str:
    """The example in docs/plugins.md that offers this."""
    text = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")
    [found] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f'name = "{name}"' in block]
    return str(found)
