"""What is behind each code: texts and examples, kept beside this module as data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files

from customspec.errors import Code


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code at length. An example's sections stand in place of those of a spec that is right, or it is a command."""

    title: str
    text: str
    bad: str
    good: str


def explanations() -> Mapping[Code, Explanation]:
    """Every code's explanation, in the order of the codes."""
    texts = tomllib.loads(files(__package__).joinpath("explanations.toml").read_text(encoding="utf-8"))
    return {
        Code(code): Explanation(**{key: part.strip() for key, part in parts.items()}) for code, parts in texts.items()
    }


def as_text(code: Code, explained: Explanation) -> str:
    """For a person: the title, the text, and the two examples indented."""
    parts = (f"{code}: {explained.title}", explained.text)
    examples = (
        f"{word}:\n\n{_indented(example)}" for word, example in (("wrong", explained.bad), ("right", explained.good))
    )
    return "\n\n".join((*parts, *examples))


def as_json(code: Code, explained: Explanation) -> dict[str, str]:
    return {"code": code.value, **asdict(explained)}


def _indented(example: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in example.splitlines())
