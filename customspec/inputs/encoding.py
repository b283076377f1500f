"""Rows as token ids that fit the model's context: refused, cut or dropped as `on_long` says, never silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from operator import attrgetter
from typing import Literal

from customspec.hookspecs import Converses, PromptingTechnique, Selector, Writes
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.tokens import Chat
from customspec.prompts import Example, Message, messages
from customspec.spec import PromptingOptions

OnLong = Literal["error", "truncate", "drop"]
LONG = 1 << 16  # characters; shorter texts are tokenized quicker than the widest token is found
USUAL = 16  # characters of a token; few texts have as many


def no_shots(_: Example) -> Sequence[Example]:
    """The selector of a candidate without a prompting technique."""
    return ()


own_answer: Callable[[Example], str] = attrgetter("answer")
"""The answer of an example, as it is written where the technique has no way of its own."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a candidate asks: the demonstrations, what they and a trained model write, and how all is put together."""

    select: Selector = no_shots
    write: Callable[[Example], str] = own_answer
    converse: Callable[[Example, Sequence[Example]], tuple[Message, ...]] = messages
    empty: Callable[[Example], Sequence[Example]] = no_shots
    """The same question without content, as often as calibration asks for it."""

    @classmethod
    def of(
        cls, technique: PromptingTechnique, options: PromptingOptions, train: Sequence[Example], seed: int
    ) -> Asking:
        """The technique's own ways; where it has none, those of a candidate without a technique."""
        asking = cls(technique.select(options, train, seed))
        if isinstance(technique, Writes):
            asking = replace(asking, write=partial(technique.written, options))
        if isinstance(technique, Converses):
            asking = replace(asking, converse=partial(technique.messages, options))
        return asking

    def conversation(self, query: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
        """The messages up to the answer."""
        if self.write is own_answer:
            return self.converse(query, shots)
        return self.converse(query, [replace(shot, answer=self.write(shot)) for shot in shots])


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row for the model: prompt and answer (with its end) as token ids.

    `learned` are the places in the prompt, from and up to, of earlier answers that the loss sees as well: the
    assistant's earlier turns of chat data. `empty` are the prompts of the same question without content.
    """

    example: Example
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    learned: tuple[tuple[int, int], ...] = ()
    empty: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Encodings:
    """The rows that fit, in order, and the ids of those that were dropped or cut.

    `last_only`: rows of chat data whose earlier answers the loss does not see, as the model's chat template changes
    earlier turns when later ones come.
    """

    rows: tuple[Encoded, ...]
    dropped: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    last_only: tuple[str, ...] = ()


class TooLongError(ValueError):
    """A row that does not fit. Lengths are in tokens, the answer's reserve included."""

    def __init__(self, id: str, tokens: int, limit: int, *, at_least: bool = False) -> None:
        count = f"at least {tokens}" if at_least else tokens
        super().__init__(f"row {id} needs {count} tokens; the model's context holds {limit}")
        self.id = id
        self.tokens, self.limit, self.at_least = tokens, limit, at_least


def encode(
    examples: Sequence[Example],
    asking: Asking,
    chat: Chat,
    *,
    context: int,
    reserve: int | None,
    on_long: OnLong,
) -> Encodings:
    """Every example as tokens. `reserve`: tokens kept free for the answer; None: the answer's own length.

    Raises TooLongError under `on_long: error`, for the first row that does not fit.
    """
    rows: list[Encoded] = []
    dropped: list[str] = []
    cut: list[str] = []
    last_only: list[str] = []
    # most rows have the same conversation without content
    ids = cache(lambda conversation: tuple(chat.prompt_ids(conversation)))
    answers = chat.encode_all([asking.write(example) + chat.end for example in examples])
    for example, asked, answer in zip(
        examples, _asked(examples, asking, chat, context), map(tuple, answers), strict=True
    ):
        room = context - (len(answer) if reserve is None else reserve)
        if len(asked.prompt) > room:
            if on_long == "error":
                tokens = len(asked.prompt) + context - room
                raise TooLongError(example.id, tokens, context, at_least=not asked.whole)
            shorter = _cut(asked, asking, chat, context, room) if on_long == "truncate" else None
            (dropped if shorter is None else cut).append(example.id)
            if shorter is None:
                continue
            asked = shorter
        learned = _learned(asked, chat)
        if learned is None:
            last_only.append(example.id)
        empty = tuple(ids(asking.conversation(query, asked.shots)) for query in asking.empty(example))
        rows.append(Encoded(example, asked.prompt, answer, learned or (), empty))
    return Encodings(tuple(rows), tuple(dropped), tuple(cut), tuple(last_only))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query, as much of it as is asked, with its demonstrations and the prompt that they make; or, not `whole`, with
    a beginning of the prompt that no context holds."""

    query: Example
    shots: tuple[Example, ...]
    conversation: tuple[Message, ...]
    prompt: tuple[int, ...]
    whole: bool

    @classmethod
    def of(cls, query: Example, asking: Asking, chat: Chat, shots: Sequence[Example], context: int) -> _Asked:
        conversation = asking.conversation(query, shots)
        ((prompt, whole),) = _as_ids([chat.prompt_text(conversation)], chat, context)
        return cls(query, tuple(shots), conversation, prompt, whole)


def _asked(queries: Sequence[Example], asking: Asking, chat: Chat, context: int) -> Iterator[_Asked]:
    """Each as `_Asked.of` has it; templates are filled and texts tokenized together. Raises ChatError in turn."""
    selected = [tuple(asking.select(query)) for query in queries]
    conversations = [asking.conversation(query, shots) for query, shots in zip(queries, selected, strict=True)]
    texts = chat.prompt_texts(conversations)
    prompts = iter(_as_ids([text for text in texts if isinstance(text, str)], chat, context))
    for query, shots, conversation, text in zip(queries, selected, conversations, texts, strict=True):
        if isinstance(text, ChatError):
            raise text
        yield _Asked(query, shots, conversation, *next(prompts))


def _as_ids(texts: Sequence[str], chat: Chat, context: int) -> list[tuple[tuple[int, ...], bool]]:
    """Each prompt's tokens, and whether they are all: of a long one, whose beginning has more than twice what the
    context holds, they are the beginning's."""
    special, width = chat.template is None, max(LONG, USUAL * context)
    long = [text for text in texts if len(text) > 2 * width]
    begun = iter(chat.encode_all([text[:width] for text in long], special=special))
    cut = [ids if len(text) > 2 * width and len(ids := next(begun)) > 2 * context else None for text in texts]
    whole = iter(chat.encode_all([text for text, ids in zip(texts, cut, strict=True) if ids is None], special=special))
    return [(tuple(next(whole)), True) if ids is None else (tuple(ids), False) for ids in cut]


def _cut(asked: _Asked, asking: Asking, chat: Chat, context: int, room: int) -> _Asked | None:
    """The longest prompt that fits: fewer demonstrations, then fewer earlier turns, then a shorter end of the query."""
    query, shots = asked.query, asked.shots
    later = [place for place, turn in enumerate(query.history) if turn.role == "user" and place]
    for fewer in range(1, len(shots) + 1):
        shorter = _Asked.of(query, asking, chat, shots[fewer:], context)
        if len(shorter.prompt) <= room:
            return shorter
    for place in (*later, len(query.history)) if query.history else ():
        shorter = _Asked.of(replace(query, history=query.history[place:]), asking, chat, (), context)
        if len(shorter.prompt) <= room:
            return shorter
    query = replace(query, history=())
    low, high = 0, len(query.user)  # characters of the query that are known to fit, and known not to
    best: _Asked | None = None
    while low < high:
        middle = (low + high) // 2
        shorter = _Asked.of(replace(query, user=query.user[:middle]), asking, chat, (), context)
        if len(shorter.prompt) <= room:
            best, low = shorter, middle + 1
        else:
            high = middle
    return best


def _learned(asked: _Asked, chat: Chat) -> tuple[tuple[int, int], ...] | None:
    """Where in the prompt the row's own earlier answers stand; None where the template does not let them be found."""
    history, conversation = asked.query.history, asked.conversation
    start = len(conversation) - 1 - len(history)
    if start < 0 or conversation[start:-1] != history:
        return ()  # the technique wrote a conversation of its own
    answers = [start + place for place, turn in enumerate(history) if turn.role == "assistant"]
    return chat.spans(conversation, answers) if answers else ()


def surely_fit(conversations: Sequence[Sequence[Message]], chat: Chat, rooms: Sequence[int]) -> Sequence[bool]:
    """Whether each prompt fits its room by its bytes alone: cheap, and never wrong with a yes. No for one that the
    model's template refuses."""
    texts = chat.prompt_texts(conversations)
    return [
        not isinstance(text, ChatError) and chat.most_tokens(text) <= room
        for text, room in zip(texts, rooms, strict=True)
    ]


def check_plainly(query: Example, asking: Asking, chat: Chat, context: int) -> None:
    """Raises TooLongError for a prompt that is too long however it is tokenized, which would take minutes to be known
    exactly; ChatError as the template does."""
    conversation = asking.conversation(query, tuple(asking.select(query)))
    if sum(len(turn.content) for turn in conversation) > LONG:
        fewest = chat.fewest_tokens(chat.prompt_text(conversation))
        if fewest > context:
            raise TooLongError(query.id, fewest, context, at_least=True)


def plainly_fits(conversation: Sequence[Message], room: int) -> bool:
    """Whether the prompt fits twice over by its texts' bytes, without the template: right for every template that adds
    less than it is given and 64 bytes a turn. What another one makes too long is found when the rows are encoded."""
    return 2 * sum(len(turn.content.encode()) + 64 for turn in conversation) <= room
