"""Lengths of texts in tokens, for estimates: exact for texts of usual size, else extrapolated from their beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Final

from customspec.inputs.chat_errors import ChatError
from customspec.inputs.tokens import Chat
from customspec.prompts import Message

COUNTED: Final = 1 << 17  # characters of one text that are tokenized
TOGETHER: Final = 1 << 20  # characters of many texts of which the longest is looked for
ALL: Final = 1 << 23  # characters of all rows' prompts
AT_ONCE: Final = 256  # prompts that are there at once


def prompts(conversations: Sequence[Sequence[Message]], chat: Chat, context: int) -> list[tuple[list[int], int]]:
    """Of each prompt the tokens of its beginning, and how many it has: no more than the model's context, which is what
    a longer one is cut to. Raises ChatError."""
    texts = list(_filled(conversations, chat))
    ids = chat.encode_all([text[:COUNTED] for text in texts], special=chat.template is None)
    return [(begun, min(context, _scaled(len(begun), text))) for begun, text in zip(ids, texts, strict=True)]


def prompt_lengths(conversations: Iterable[Sequence[Message]], chat: Chat) -> list[int]:
    """Tokens of each prompt; from ALL characters on, as many for a character as those before had. Raises ChatError."""
    lengths: list[int] = []
    characters = tokens = 0
    waiting = list(conversations)
    for start in range(0, len(waiting), AT_ONCE):
        texts = list(_filled(waiting[start : start + AT_ONCE], chat))
        if characters < ALL:
            ids = chat.encode_all([text[:COUNTED] for text in texts], special=chat.template is None)
            tokens += sum(map(len, ids))
            characters += sum(len(text[:COUNTED]) for text in texts)
            lengths += [_scaled(len(begun), text) for begun, text in zip(ids, texts, strict=True)]
        else:
            lengths += [ceil(len(text) * tokens / characters) for text in texts]
    return lengths


def answers(texts: Iterable[str], chat: Chat) -> list[int]:
    """Tokens of each answer, its end included. Raises ChatError."""
    return [_scaled(len(chat.answer_ids(text[:COUNTED])), text) for text in texts]


def longest_answer(texts: Iterable[str], chat: Chat) -> int | None:
    """Tokens of the longest answer, its end included; among more than TOGETHER characters only the largest are looked
    at. None where there is none. Raises ChatError."""
    return max(answers(_largest(texts), chat), default=None)


def tree_nodes(choices: Sequence[str], chat: Chat) -> int:
    """Nodes of the tree of all choices that are fed: every different beginning, a choice's last token left out."""
    looked = list(_largest(choices))
    nodes = tree_of([chat.answer_ids(text[:COUNTED]) for text in looked])
    return nodes * sum(map(len, choices)) // max(1, sum(len(text[:COUNTED]) for text in looked))


def tree_of(choices: Sequence[Sequence[int]]) -> int:
    """`tree_nodes` of tokens."""
    return len({tuple(choice[:length]) for choice in choices for length in range(1, len(choice))})


def _filled(conversations: Sequence[Sequence[Message]], chat: Chat) -> Iterator[str]:
    for text in chat.prompt_texts(conversations):
        if isinstance(text, ChatError):
            raise text
        yield text


def _scaled(tokens: int, text: str) -> int:
    return tokens if len(text) <= COUNTED else ceil(tokens * len(text) / COUNTED)


def _largest(texts: Iterable[str]) -> Iterator[str]:
    room = TOGETHER
    for text in sorted(set(texts), key=lambda one: len(one.encode()), reverse=True):
        if room <= 0:
            return
        yield text
        room -= len(text[:COUNTED])
