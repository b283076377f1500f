"""Rows of one split that ask the same and answer otherwise: a label is wrong there, or the question lacks something."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from customspec.compiler.overlap import NAMED, Question, are_there, asked, question_of
from customspec.inputs.splits import SPLITS, Splits
from customspec.inputs.splitting import normal
from customspec.prompts import Row, TemplateError
from customspec.sandbox.templates import Known, Sandboxed
from customspec.spec import Prompt

AT_ONCE = 1024  # rows whose answers are rendered at once


def conflict_notes(prompts: Sequence[Prompt], rows: Splits, known: Known) -> tuple[str, ...]:
    """A note for each split with such rows. `rows` are the splits as given."""
    return tuple(note for name in SPLITS if (note := _note(name, prompts, rows.named(name), known)))


def _note(name: str, prompts: Sequence[Prompt], rows: Sequence[Row], known: Known) -> str:
    found: dict[int, int] = {}
    for one in dict.fromkeys(_Asked(question_of(prompt, known), prompt.answer) for prompt in prompts):
        found |= {later: first for later, first in one.conflicts(rows, known) if later not in found}
    if not found:
        return ""
    named = ", ".join(f"{rows[later].place} than {rows[found[later]].place}" for later in sorted(found)[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    count = f"{len(found)} row" + (" answers" if len(found) == 1 else "s answer")
    return f"in `{name}`, {count} otherwise than an earlier row that asks the same: {named}{more}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a prompt asks by, and the template of its answer; None where a column holds conversations."""

    question: Question
    answer: str | None

    def conflicts(self, rows: Sequence[Row], known: Known) -> Iterator[tuple[int, int]]:
        """Each such row's index, and that of the first row that asks the same."""
        if not rows or not are_there(self.question.columns, rows):
            return  # reported where the template is read
        first: dict[str, tuple[int, str]] = {}
        again = iter(_repeated(rows, self.question))
        while some := list(islice(again, AT_ONCE)):
            answers = self._answers([rows[index] for index in some], known)
            texts = asked([rows[index] for index in some], self.question)
            for index, text, answer in zip(some, texts, answers, strict=False):
                earliest, other = first.setdefault(normal(text), (index, answer))
                if answer != other:
                    yield index, earliest

    def _answers(self, rows: Sequence[Row], known: Known) -> list[str]:
        """None where the template cannot be filled: that is reported where it is read."""
        if self.answer is None:
            return [_last(row.fields.get(self.question.columns[0])) for row in rows]
        if known.allowance.refused:
            return []
        try:
            texts = Sandboxed(self.answer, known=known).render_all([row.fields for row in rows])
        except TemplateError:
            return []
        return [text.strip() for text in texts]


def _repeated(rows: Sequence[Row], question: Question) -> list[int]:
    """Rows whose question is, by its hash, another row's as well. Of each row eight bytes are held."""
    hashes = array("q", (hash(normal(text)) for text in asked(rows, question)))
    twice = {one for one, other in pairwise(sorted(hashes)) if one == other}
    return [index for index, one in enumerate(hashes) if one in twice] if twice else []


def _last(turns: object) -> str:
    """The answer that a conversation ends with."""
    last = turns[-1] if isinstance(turns, list | tuple) and turns else None
    return str(last.get("content")).strip() if isinstance(last, Mapping) else ""
