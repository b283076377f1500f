"""Whether every prompt fits the model's context, or one at least where the others are cut or dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from customspec.compiler.counting import longest_answer
from customspec.compiler.entries import Draft, blaming_plugin, shots_of, tuning_of
from customspec.compiler.judging import own_texts
from customspec.compiler.models import ResolvedModel
from customspec.compiler.problems import Problems
from customspec.errors import Code, Exit
from customspec.hookspecs import Judging
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.encoding import (
    Asking,
    OnLong,
    TooLongError,
    check_plainly,
    encode,
    no_shots,
    plainly_fits,
    surely_fit,
)
from customspec.inputs.splits import SPLITS, Splits
from customspec.inputs.tokens import Chat
from customspec.prompts import Example, Message, Row
from customspec.source import KeyPath

if TYPE_CHECKING:
    from customspec.compiler.candidates import Ready

ROWS_AT_ONCE = 256  # rows whose prompts are there at once while their lengths are checked
AT_ONCE = 1 << 20  # characters that are tokenized at once; the check ends at the first row that is too long
_KIND = {"train": "training", "validation": "validation", "test": "test"}
ALL = 1 << 25  # characters that are tokenized to check lengths: some ten seconds


@dataclass
class LengthBudget:
    """How much may still be tokenized in one compilation to know whether it fits, and how many rows were left out."""

    room: int = ALL
    left: int = 0

    def some(self, rows: Iterable[tuple[Example, int]]) -> Iterator[list[Example]]:
        """The rows, each given with its characters, a few at a time, while there is room."""
        few, size = list[Example](), 0
        for row, characters in rows:
            self.left += self.room <= 0
            if self.room <= 0:
                continue
            few.append(row)
            size += characters
            self.room -= characters
            if size >= AT_ONCE:
                yield few
                few, size = [], 0
        if few:
            yield few

    def notes(self) -> tuple[str, ...]:
        """A note where rows were left out."""
        if not self.left:
            return ()
        return (
            f"the lengths of {self.left} long rows are not checked beforehand: the run tells of one that is too long",
        )


def reserve_for(ready: Ready, chat: Chat) -> int | None:
    """Tokens that scoring or generating keeps free for an answer."""
    if ready.generation is not None:
        return ready.generation.max_new_tokens
    return longest_answer(ready.rendered.choices or (), chat)


def check_lengths_once(ready: Ready, model: ResolvedModel, rows: Splits, on_long: OnLong, problems: Problems) -> None:
    """Check a candidate's prompts, unless another that asks in the same way was checked already and found to fit."""
    seed = ready.seed if shots_of(ready.draft) else None
    generated = None if ready.generation is None else ready.generation.max_new_tokens
    key = ("lengths", ready.ask, seed, _taught_texts(ready.draft), generated, ready.taken)

    def is_fine() -> bool:
        before = len(problems)
        _check_lengths(ready, model, rows, on_long, problems)
        return len(problems) == before

    with ready.contained():
        if not ready.shared.once(key, is_fine):
            _check_lengths(ready, model, rows, on_long, problems)


def _taught_texts(draft: Draft) -> tuple[str, ...] | None:
    """What training feeds: nothing, each row's answer, or the texts of a technique's own loss."""
    chosen = tuning_of(draft)
    if chosen is None:
        return None
    technique, options = chosen
    own = isinstance(technique, Judging)
    return (technique.name, str(draft.main.offer), options.model_dump_json()) if own else ("answer",)


def _check_lengths(ready: Ready, model: ResolvedModel, rows: Splits, on_long: OnLong, problems: Problems) -> None:
    chat, whole = model.chat, model.known.header.context_length
    model = model.beside(ready.taken)
    limit = model.known.header.context_length
    if limit <= 0:
        message = f"{ready.taken} tokens before every prompt fill the whole context of {whole}"
        problems.add(Code.TOO_LONG, ready.draft.main.at, message, hint=f"take fewer than {whole} virtual tokens")
        return
    reserve = reserve_for(ready, chat)
    if reserve is not None and reserve >= limit:
        given = "max_new_tokens" in (problems.document.data.get("generation") or {})
        at = ("generation", "max_new_tokens") if given else ("prompt", "answer")
        message = f"an answer of {reserve} tokens fills the whole context of {limit}"
        problems.add(Code.WRONG_VALUE, at, message, hint=_shorter(ready, limit, given=given))
        return
    for name in SPLITS if ready.draft.tuning else SPLITS[1:]:
        # training feeds a row's own texts; scoring and generating need room for whatever may come
        room = _longest_text(ready, chat) if name == "train" else reserve
        if on_long == "error":
            _check_each(ready, model, name, room, rows, problems)
        else:
            _check_some(ready, model, name, room, rows, on_long, problems)


def _check_each(
    ready: Ready, model: ResolvedModel, name: str, room: int | None, rows: Splits, problems: Problems
) -> None:
    for some in ready.shared.length_budget.some(unsure(ready.rendered.examples[name], ready.asking, model, room)):
        fault = _fault(some, ready.asking, model, room)
        if fault is not None:
            _tell(fault, ready, some, rows.named(name), None if name == "train" else room, problems)
            return


def _check_some(
    ready: Ready, model: ResolvedModel, name: str, room: int | None, rows: Splits, on_long: OnLong, problems: Problems
) -> None:
    """Not every row of a split is dropped."""
    examples, asking = ready.rendered.examples[name], ready.asking
    if on_long == "truncate":
        # what is left of a prompt in the end: no demonstration, no earlier turn, no character of the query
        examples, asking = [bare(row) for row in examples], replace(asking, select=no_shots)
    if not examples or _one_fits(examples, asking, model, room):
        return
    fault = _fault(examples[:1], asking, model, room)
    if not isinstance(fault, TooLongError):
        return
    also = ", however short its prompt is cut" if on_long == "truncate" else ""
    message = f"every {_KIND[name]} row is too long and would be dropped{also}: {_placed(fault, rows.named(name))}"
    hint = "write shorter rows, or take a base model with a longer context"
    less = "" if name == "train" else _less(ready, fault, room)
    problems.add(Code.TOO_LONG, ("data", "on_long"), message, hint=f"{less}{hint}")


def _one_fits(examples: Sequence[Example], asking: Asking, model: ResolvedModel, room: int | None) -> bool:
    """Whether a row fits, or there are too many to know."""
    budget = LengthBudget()
    for start in range(0, len(examples), ROWS_AT_ONCE):
        some = examples[start : start + ROWS_AT_ONCE]
        in_doubt = list(unsure(some, asking, model, room))
        if len(in_doubt) < len(some) or budget.room <= 0:
            return True
        for few in budget.some(in_doubt):
            if any(not isinstance(_fault([row], asking, model, room), TooLongError) for row in few):
                return True
    return budget.left > 0


def bare(row: Example) -> Example:
    """The row with the least that truncation leaves of its prompt."""
    return replace(row, user="", history=())


def _shorter(ready: Ready, limit: int, *, given: bool) -> str:
    some = max(1, limit // 8)
    derived = f"write shorter answers, set `generation: {{max_new_tokens: {some}}}`"
    fewer = (
        f"write a smaller number, such as {some}" if given else derived if ready.generation else "write shorter answers"
    )
    return f"{fewer}, or take a base model with a longer context"


def _less(ready: Ready, fault: TooLongError, room: int | None) -> str:
    """Advice to generate less, where that makes the row fit."""
    fits = fault.limit - (fault.tokens - room) if room is not None and not fault.at_least else 0
    if ready.generation is None or fits < 1:
        return ""
    return f"leave less for the answer: `generation: {{max_new_tokens: {fits}}}` fits this row; or "


def _placed(fault: TooLongError, read: Sequence[Row]) -> str:
    """What is told of a row, with its place in the file."""
    place = next(row.place for row in read if row.id == fault.id)
    return str(fault).replace(f"row {fault.id}", place)


def _fault(
    rows: Sequence[Example], asking: Asking, model: ResolvedModel, reserve: int | None
) -> TooLongError | ChatError | None:
    """The error of the first of these rows that cannot be encoded; `reserve`: see `encode`."""
    context = model.known.header.context_length
    try:
        for row in rows:
            check_plainly(row, asking, model.chat, context)
        encode(rows, asking, model.chat, context=context, reserve=reserve, on_long="error")
    except (TooLongError, ChatError) as fault:
        return fault
    return None


def _tell(
    fault: TooLongError | ChatError,
    ready: Ready,
    some: Sequence[Example],
    read: Sequence[Row],
    room: int | None,
    problems: Problems,
) -> None:
    """`read`: the split's rows, with their places; `room`: what is kept for an answer that is not known."""
    at = _what_makes_long(ready)
    if isinstance(fault, ChatError):
        problems.add(Code.MODEL_UNUSABLE, at, str(fault), hint=fault.hint, exit=Exit.ENVIRONMENT)
        return
    long = next(row for row in some if row.id == fault.id)
    fewer = "use fewer shots" if ready.asking.select(long) else "shorten it"
    before = f"take fewer than {ready.taken} virtual tokens, which leave {fault.limit}; or " if ready.taken else ""
    hint = f"{before}{_less(ready, fault, room)}{fewer}, or set `data.on_long` to truncate or drop"
    problems.add(Code.TOO_LONG, at, _placed(fault, read), hint=hint)


def unsure(
    rows: Sequence[Example], asking: Asking, model: ResolvedModel, reserve: int | None
) -> Iterator[tuple[Example, int]]:
    """Rows that must be tokenized to know whether they fit, each with its prompt's characters."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield from _unsure_of(rows[start : start + ROWS_AT_ONCE], asking, model, reserve)


def _unsure_of(
    rows: Sequence[Example], asking: Asking, model: ResolvedModel, reserve: int | None
) -> Iterator[tuple[Example, int]]:
    chat, looked = model.chat, list[tuple[Example, tuple[Message, ...], int]]()
    for row in rows:
        most = chat.most_tokens(asking.write(row) + chat.end) if reserve is None else reserve
        conversation = asking.conversation(row, asking.select(row))
        room = model.known.header.context_length - most
        if not plainly_fits(conversation, room):
            looked.append((row, conversation, room))
    fitting = surely_fit([one for _, one, _ in looked], chat, [room for *_, room in looked])
    for (row, conversation, _), fits in zip(looked, fitting, strict=True):
        if not fits:
            yield row, sum(len(turn.content) for turn in conversation)


def _longest_text(ready: Ready, chat: Chat) -> int | None:
    tuning = tuning_of(ready.draft)
    with blaming_plugin(ready.draft.main):
        texts = tuning and own_texts(*tuning, ready.rendered.examples["train"])
    return None if texts is None else longest_answer(texts, chat)


def _what_makes_long(ready: Ready) -> KeyPath:
    """The demonstrations, where there are any; else the user's template."""
    if ready.draft.prompting is not None and shots_of(ready.draft):
        return (*ready.draft.prompting.at, "shots")
    part = "user" if ready.rendered.prompt.messages is None else "messages"
    own = ready.draft.entry.prompt is not None and getattr(ready.draft.entry.prompt, part) is not None
    return (*ready.draft.at, "prompt", part) if own else ("prompt", part)
