"""Templates as the rest of the program uses them; each is compiled and filled in the worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeGuard

from customspec.prompts import PromptTemplate, TemplateError
from customspec.sandbox.client import Worker, WorkerDiedError, worker

CPU: Final = 0.5  # seconds for a template, whatever it does
CPU_TOGETHER: Final = 1.0  # seconds for all templates of a spec, beyond what they and their rows earn
CPU_PER_TEMPLATE: Final = 0.01  # seconds that each earns: ten times what compiling takes
CPU_OF_A_START: Final = 0.1  # seconds that a template costs which ends the process
CPU_PER_ROW: Final = 0.0005  # seconds more for each row: ten times what filling takes
CPU_PER_BYTE: Final = 1e-7  # seconds more for each byte of the rows
BATCH: Final = 256  # rows in one request
ALL: Final = 2**26  # characters that it may write of all rows
WORTH: Final = 16  # characters more for each that it is given
ANSWERED: Final = ("texts", "variables", "printed")
BATCH_BYTES: Final = 2**20  # of conversations in one request: a small part of the memory that the worker may have

LIMITS: Final = {
    "time": f"it takes more than {CPU:g} s of computing",
    "memory": "it needs more memory than a template may have",
    "output": "it writes more text than any prompt may have",
    "together": f"the templates of this spec take more than {CPU_TOGETHER:g} s of computing together",
    "all": "of all rows together it makes many times the text that they hold",
}


class Allowance:
    """What the templates of one spec may still compute together, and which of them were refused."""

    def __init__(self) -> None:
        self.left = CPU_TOGETHER
        self.refused: dict[tuple[str, str], str] = {}


class Known(Protocol):
    """A cache of the worker's answers, by what they were made of; and what those that are not known may cost."""

    @property
    def allowance(self) -> Allowance: ...
    def get(self, made_of: object) -> Any | None: ...
    def put(self, made_of: object, value: object) -> None: ...


class TemplateLimitError(TemplateError):
    """A template that ran into one of its limits."""


class TogetherLimitError(TemplateLimitError):
    """A template behind others that have used up the time of all. What comes behind it is refused alike."""

    def __init__(self) -> None:
        super().__init__(LIMITS["together"])


class Sandboxed:
    """A template in the worker. Raises TemplateError, of which TemplateLimitError is one.

    What is `known` is not asked of the worker again; a template that was refused is never known.
    """

    kind = "prompt"

    def __init__(self, source: str, runner: Worker | None = None, *, known: Known | None = None) -> None:
        self.source = source
        self._runner = runner or worker()
        self._known = known
        self._allowance = Allowance() if known is None or self.kind == "chat" else known.allowance  # a model's is alone
        self._earned = CPU_PER_TEMPLATE
        self._floor = CPU
        self._room = ALL
        answer = self._ask([])
        self.variables = frozenset(answer.get("variables", ()))
        self.printed = frozenset(answer.get("printed", ()))

    def render(self, fields: Mapping[str, Any]) -> str:
        """The filled text."""
        return self.render_all([fields])[0]

    def render_all(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The filled text of each row. The error's `row` is the index of the one that cannot be filled."""
        return [text for batch in range(0, len(rows), BATCH) for text in self._batch(rows, batch)]

    def _batch(self, rows: Sequence[Mapping[str, Any]], start: int) -> Iterator[str]:
        batch = [self._needed(fields) for fields in rows[start : start + BATCH]]
        self._earned += CPU_PER_ROW * len(batch)
        try:
            texts = self._ask(batch)["texts"]
        except TemplateError as error:
            error.row = None if error.row is None else start + error.row
            raise
        self._room -= sum(map(len, texts)) - WORTH * sum(len(str(value)) for one in batch for value in one.values())
        if self._room < 0:
            raise TemplateLimitError(LIMITS["all"])
        yield from texts

    def _needed(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: fields[name] for name in self.variables if name in fields}

    def _ask(self, rows: Sequence[Mapping[str, Any]], *, each: bool = False) -> Mapping[str, Any]:
        made_of = [self.kind, self.source, rows]
        known = None if self._known is None else self._known.get(made_of)
        if _is_answer(known, len(rows)):
            return known
        answer = self._ask_worker(rows, each=each)
        if self._known is not None and _is_answer(answer, len(rows)):
            self._known.put(made_of, {name: answer[name] for name in ANSWERED if name in answer})
        return answer

    def _ask_worker(self, rows: Sequence[Mapping[str, Any]], *, each: bool) -> Mapping[str, Any]:
        self._check_may_ask()
        try:
            answer = self._runner.ask(self.kind, self.source, rows, self._cpu, each=each)
        except WorkerDiedError as error:
            self._charge(error.cpu + CPU_OF_A_START)
            if not rows:
                self._allowance.refused[self.kind, self.source] = error.reason
            if error.reason == "time" and self._floor > 0:  # it was given less than it may have
                raise TogetherLimitError from error
            raise TemplateLimitError(LIMITS[error.reason]) from error
        self._earned += CPU_PER_BYTE * answer["asked"]
        self._charge(answer["cpu"])
        if "error" in answer:
            raise TemplateError(
                answer["error"], line=answer.get("line", 1), word=answer.get("word"), row=answer.get("row")
            )
        return answer

    @property
    def _cpu(self) -> float:
        """Seconds that it may still compute."""
        return self._earned + min(self._floor, self._allowance.left)

    def _check_may_ask(self) -> None:
        reason = self._allowance.refused.get((self.kind, self.source))
        if reason is not None or self._floor <= 0:
            raise TemplateLimitError(LIMITS[reason or "time"])
        if self._allowance.left <= 0:
            raise TogetherLimitError

    def _charge(self, spent: float) -> None:
        """What it computed is taken from what it has earned, and the rest from what every template has, and all."""
        self._earned -= spent
        if self._earned < 0:
            self._floor += self._earned
            self._allowance.left += self._earned
            self._earned = 0.0


class SandboxedChat(Sandboxed):
    """A model's chat template in the worker; it sees all that it is given."""

    kind = "chat"

    def render_each(self, rows: Sequence[Mapping[str, Any]]) -> list[str | TemplateError]:
        """Each row's text, or why it has none, as if each were filled alone: many in one request, BATCH of them or
        BATCH_BYTES at most."""
        return [found for batch in _batched(rows) for found in self._each(batch)]

    def _each(self, rows: Sequence[Mapping[str, Any]]) -> list[str | TemplateError]:
        self._earned += CPU_PER_ROW * len(rows)
        try:
            texts = self._ask(rows, each=True)["texts"]
        except TemplateLimitError as error:
            if len(rows) == 1 or self._cpu <= 0:
                return [error] * len(rows)
            # which row it was, the process that ended cannot tell
            return [found for row in rows for found in self._each([row])]
        return [text if isinstance(text, str) else TemplateError(text["error"]) for text in texts]

    def _needed(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return fields


def _is_answer(value: object, rows: int) -> TypeGuard[Mapping[str, Any]]:
    lists = [value.get(name, []) for name in ANSWERED] if isinstance(value, dict) else []
    return (
        bool(lists)
        and all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists)
        and len(lists[0]) == rows
    )


def _batched(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        needed = len(json.dumps(row))
        if batch and (len(batch) == BATCH or size + needed > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += needed
    if batch:
        yield batch


def prompt_template(user: str, answer: str, system: str | None = None) -> PromptTemplate:
    """A prompt whose three templates are filled by the worker."""
    return PromptTemplate(Sandboxed(user), Sandboxed(answer), None if system is None else Sandboxed(system))
