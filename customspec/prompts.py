"""Prompts: what templates make of a row's columns. Pure: text and plain data in, messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, get_args

Role = Literal["system", "user", "assistant"]


class TemplateError(ValueError):
    """A template that cannot be read or filled: `line` counts in the template, `word` is the text at fault, `row` the
    index of the row that it cannot be filled with, and `part` the part of the prompt."""

    def __init__(self, message: str, *, line: int = 1, word: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.word = word
        self.row = row
        self.part: Literal["system", "user", "answer"] | None = None


# words of templates that are no names: Jinja's operators and constants, and what it knows under a name of its own
_OPERATORS: Final = ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
_WORDS: Final = frozenset((*_OPERATORS, "range", "dict", "cycler", "joiner", "namespace"))


def is_plain(column: str) -> bool:
    """Whether a template can say the column's name as it is."""
    return column.isidentifier() and column not in _WORDS


def reference(column: str) -> str:
    """How a template writes a column: by its name, or as `column('...')` where that is no plain name."""
    if is_plain(column):
        return f"{{{{ {column} }}}}"
    quoted = column.replace("\\", "\\\\").replace("'", "\\'")
    return f"{{{{ column('{quoted}') }}}}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a split: its columns, and the place it was read from."""

    id: str
    fields: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """A row as the prompt sees it: what is shown and what should come back."""

    id: str
    system: str | None
    user: str
    answer: str
    history: tuple[Message, ...] = ()
    """Chat data: the turns between the system message and the last question."""
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The row's columns."""


def messages(query: Example, shots: Sequence[Example] = ()) -> tuple[Message, ...]:
    """The conversation that asks `query`, with `shots` as answered turns before it."""
    system = () if query.system is None else (Message("system", query.system),)
    turns = (turn for shot in shots for turn in (*_question(shot), Message("assistant", shot.answer)))
    return (*system, *turns, *_question(query))


def _question(example: Example) -> tuple[Message, ...]:
    return (*example.history, Message("user", example.user))


class Fillable(Protocol):
    """A template, wherever it is compiled."""

    source: str
    variables: frozenset[str]
    """The columns that it asks for."""
    printed: frozenset[str]
    """Those of them that stand in the text as they are."""

    def render(self, fields: Mapping[str, Any]) -> str: ...
    def render_all(self, rows: Sequence[Mapping[str, Any]]) -> list[str]: ...


@dataclass(frozen=True)
class PromptTemplate:
    """The three templates of a prompt."""

    user: Fillable
    answer: Fillable
    system: Fillable | None = None

    @property
    def asks_for(self) -> frozenset[str]:
        """The columns that a question needs."""
        return self.user.variables | (self.system.variables if self.system else frozenset())

    def render(self, row: Row, *, answered: bool = True) -> Example:
        """The row as an example; without `answered` the answer's columns need not be there."""
        return self.render_all([row], answered=answered)[0]

    def render_all(self, rows: Sequence[Row], *, answered: bool = True) -> list[Example]:
        """Every row as an example. A TemplateError names the part of the prompt and the row's index."""
        systems = self._filled("system", rows)
        users = self._filled("user", rows)
        answers = self._filled("answer", rows) if answered else [""] * len(rows)
        parts = zip(rows, systems, users, answers, strict=True)
        return [
            Example(row.id, None if self.system is None else system.strip(), user, answer.strip(), fields=row.fields)
            for row, system, user, answer in parts
        ]

    def _filled(self, part: Literal["system", "user", "answer"], rows: Sequence[Row]) -> list[str]:
        template: Fillable | None = getattr(self, part)
        try:
            return [""] * len(rows) if template is None else template.render_all([row.fields for row in rows])
        except TemplateError as error:
            error.part = part
            raise

    def without_content(self, example: Example, stand_in: str) -> Example:
        """The same question with `stand_in` for every text among its columns. Raises TemplateError."""
        fields = {name: stand_in if isinstance(value, str) else value for name, value in example.fields.items()}
        return self.render(Row(example.id, fields, example.id), answered=False)


@dataclass(frozen=True)
class ConversationTemplate:
    """A column of chat turns, each with `role` and `content`, instead of templates."""

    column: str

    @property
    def asks_for(self) -> frozenset[str]:
        """The columns that a question needs."""
        return frozenset({self.column})

    def render(self, row: Row, *, answered: bool = True) -> Example:
        """The row as an example: the last assistant turn is its answer, the user's turn before it the question.

        Without `answered` the conversation may end with the question; an answer that is there is left out.
        Raises TemplateError for what is no such conversation.
        """
        turns = _turns(row.fields[self.column])
        system = turns[0].content if turns[0].role == "system" else None
        talk = turns if system is None else turns[1:]
        if any(turn.role == "system" for turn in talk):
            raise TemplateError("a `system` turn is only read as the first")
        ended = bool(talk) and talk[-1].role == "assistant"
        if answered and not ended:
            raise TemplateError("the last turn must be the assistant's: it is the answer")
        asked = talk[:-1] if ended else talk
        if not asked or asked[-1].role != "user":
            raise TemplateError("the turn before the answer must be the user's: it is the question")
        answer = talk[-1].content if answered else ""
        return Example(row.id, system, asked[-1].content, answer, asked[:-1], row.fields)

    def render_all(self, rows: Sequence[Row], *, answered: bool = True) -> list[Example]:
        """Every row as an example. A TemplateError names the row's index."""
        examples: list[Example] = []
        for index, row in enumerate(rows):
            try:
                examples.append(self.render(row, answered=answered))
            except TemplateError as error:
                error.row = index
                raise
        return examples

    def without_content(self, example: Example, stand_in: str) -> Example:
        """The same conversation with `stand_in` for the question, and no turns before it."""
        return replace(example, user=stand_in, answer="", history=())


AnyTemplate = PromptTemplate | ConversationTemplate

# What stands for a question's texts where an answer's score without the question is wanted: Zhao et al. 2021 average
# over three; Holtzman et al. 2021 leave the question out.
CONTENT_FREE: Mapping[str, tuple[str, ...]] = MappingProxyType({"contextual": ("N/A", "[MASK]", ""), "pmi": ("",)})


class ContentFree:
    """A question with each stand-in for its texts. What the template does not tell apart is filled once."""

    def __init__(self, template: AnyTemplate, stand_ins: Sequence[str]) -> None:
        self._template, self._stand_ins = template, stand_ins
        self._found: dict[tuple[object, ...], Example] = {}

    def __call__(self, query: Example) -> list[Example]:
        return [self._one(query, stand_in) for stand_in in self._stand_ins]

    def _one(self, query: Example, stand_in: str) -> Example:
        if isinstance(self._template, ConversationTemplate):
            return self._template.without_content(query, stand_in)
        asked = sorted(self._template.asks_for & query.fields.keys())
        key = (
            stand_in,
            *((name, repr(query.fields[name])) for name in asked if not isinstance(query.fields[name], str)),
        )
        key = (*key, *(name for name in asked if isinstance(query.fields[name], str)))
        if key not in self._found:
            self._found[key] = self._template.without_content(query, stand_in)
        found = self._found[key]
        fields = {name: stand_in if isinstance(value, str) else value for name, value in query.fields.items()}
        return replace(found, id=query.id, fields=fields)


def _turns(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list | tuple):
        raise TemplateError(f"a conversation is a list of turns, not {_kind(value)}")
    if not value:
        raise TemplateError("the conversation has no turns")
    return tuple(_turn(number, turn) for number, turn in enumerate(value, start=1))


def _turn(number: int, turn: object) -> Message:
    if not isinstance(turn, Mapping):
        raise TemplateError(f"turn {number} is {_kind(turn)}; a turn is an object with `role` and `content`")
    for key in ("role", "content"):
        if not isinstance(turn.get(key), str):
            raise TemplateError(f"turn {number} has no text `{key}`")
    unread = sorted(str(key) for key in turn.keys() - {"role", "content"} if turn[key] is not None)
    if unread:
        raise TemplateError(f"turn {number} has `{unread[0]}`, which is not read: a turn is `role` and `content`")
    role, content = turn["role"], turn["content"]
    if role not in get_args(Role):
        raise TemplateError(f"turn {number} has the unknown role `{role}`; roles: {', '.join(get_args(Role))}")
    if not content.strip():
        raise TemplateError(f"turn {number} is empty")
    return Message(role, content.strip() if role != "user" else content)


def _kind(value: object) -> str:
    kinds = {str: "text", bool: "a boolean", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return "null" if value is None else kinds.get(type(value), type(value).__name__)
