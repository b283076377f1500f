"""From messages to token ids, without transformers: the model's chat template and its tokenizer.json.

Used alike by `show`, by the checks, in training, scoring and generation, so that all see the same tokens.
A prompt and its answer are tokenized apart and joined: generation starts from the prompt's own tokens, so training
and scoring must too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customspec.inputs.chat_errors import MEND, ChatError, contained
from customspec.inputs.patience import Patience
from customspec.inputs.tokenizer_parts import replaces_by_pattern, widest_token
from customspec.prompts import Message, TemplateError
from customspec.sandbox.templates import Known, SandboxedChat, TemplateLimitError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLAIN_END = "\n\n"  # what ends an answer in plain text, where another question follows
ANSWER = "<<<answer>>>"  # stands for an answer while the template's end of turn is looked for
UNTOLD = 1 << 62  # tokens: more than any context holds
SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class Chat:
    """How one model reads a conversation."""

    folder: Path
    template: SandboxedChat | None
    special: dict[str, str]
    end: str
    """Text that ends an answer: the template's end of turn, or the end-of-sequence token."""
    known: Known | None = None
    """A cache of answers' tokens, so that no tokenizer is loaded for them; the folder's name stands for its
    contents."""

    @classmethod
    def load(cls, folder: Path, known: Known | None = None) -> Chat:
        """From a folder with tokenizer.json, tokenizer_config.json and, where there is one, chat_template.jinja.

        Raises ChatError for a template that cannot be used.
        """
        special = _special_tokens(json.loads((folder / "tokenizer_config.json").read_bytes()))
        file = folder / "chat_template.jinja"
        if not file.is_file():
            return cls(folder, None, special, special["eos_token"], known)
        template = _compile(file.read_text(encoding="utf-8"), known)
        chat = cls(folder, template, special, special["eos_token"], known)
        return replace(chat, end=_end_of_turn(chat))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded on first use: that takes as long as all the rest of checking a spec."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _patience(self) -> Patience:
        return Patience()

    @property
    def pad_id(self) -> int:
        """The padding's id: the tokenizer's own where it has one, else any, since a mask hides it."""
        return self._id(self.special.get("pad_token") or self.special["eos_token"])

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens at which generation ends."""
        end = self.answer_ids("")
        return frozenset({self._id(self.special["eos_token"]), *(end if len(end) == 1 else ())})

    @property
    def end_texts(self) -> tuple[str, ...]:
        """Texts at which generation ends: an end of turn of several tokens, none of which is an end by itself."""
        return (self.end,) if len(self.answer_ids("")) > 1 else ()

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The conversation as the model reads it, up to where its answer begins. Raises ChatError."""
        if self.template is None:
            return _plain(messages)
        return self._render(messages, add_generation_prompt=True)

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of `prompt_text`; a template writes its own special tokens, plain text gets the tokenizer's."""
        return self.encode(self.prompt_text(messages), special=self.template is None)

    def prompt_texts(self, conversations: Sequence[Sequence[Message]]) -> list[str | ChatError]:
        """`prompt_text` of each, in few round trips to the template's process; its error where it would raise one."""
        if self.template is None:
            return [_plain(messages) for messages in conversations]
        return self._rendered(conversations, add_generation_prompt=True)

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of an answer and its end."""
        made_of = ["answer", self.folder.name, answer + self.end]
        known = None if self.known is None else self.known.get(made_of)
        if isinstance(known, list) and all(isinstance(id, int) for id in known):
            return known
        ids = self.encode(answer + self.end)
        if self.known is not None:
            self.known.put(made_of, ids)
        return ids

    def spans(self, messages: Sequence[Message], answers: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
        """Where in `prompt_ids` the turns `answers` stand, each with its end, as (first token, one past the last).

        None where they cannot be found: a template that renders the beginning of a conversation in another way than
        within the whole, or changes an answer's text.
        """
        whole = self.prompt_text(messages)
        places = [place for answer in answers if (place := self._place(messages, answer, whole))]
        apart = all(first[1] <= second[0] for first, second in pairwise(places))
        if len(places) < len(answers) or not apart:
            return None
        tokenizer, special = self.tokenizer, self.template is None
        with contained():
            call = partial(tokenizer.encode_batch, [whole], add_special_tokens=special)
            offsets = self._patience.within(call, len(whole))[0].offsets
        return tuple(_covered(offsets, *place) for place in places)

    def _place(self, messages: Sequence[Message], answer: int, whole: str) -> tuple[int, int] | None:
        """From which character of `whole` to which an answer and its end stand."""
        before = self._before(messages[:answer])
        if before is None or not whole.startswith(before):
            return None
        text = messages[answer].content + (self.end if self.template else PLAIN_END)
        place = whole.find(text, len(before))
        return None if place < 0 else (place, place + len(text))

    def _before(self, messages: Sequence[Message]) -> str | None:
        if self.template is None or not messages:
            return _plain(messages)
        try:
            return self._render(messages, add_generation_prompt=False)
        except ChatError:
            return None

    def most_tokens(self, text: str) -> int:
        """The most tokens that the text can have, without tokenizing it: each stands for at least one byte."""
        if self._added is not None:
            return len(text.encode()) + self._added
        if self._has_slow_normalizer:
            return UNTOLD
        with contained():
            normal = self.tokenizer.normalizer.normalize_str(text)
        return len(normal.encode()) + self._around

    @cached_property
    def _has_slow_normalizer(self) -> bool:
        """Whether its normalizer searches for patterns, which may take for ever and cannot be stopped."""
        return replaces_by_pattern(json.loads(self.tokenizer.to_str())["normalizer"])

    @cached_property
    def _added(self) -> int | None:
        """Tokens beside the text's own; None where a normalizer changes texts."""
        made_of = ["added", self.folder.name]
        known = None if self.known is None else self.known.get(made_of)
        if isinstance(known, int):
            return known
        if self.tokenizer.normalizer is not None:
            return None
        if self.known is not None:
            self.known.put(made_of, self._around)
        return self._around

    @property
    def _around(self) -> int:
        """Special tokens, and a blank that a pre-tokenizer may put first."""
        return int(self.tokenizer.num_special_tokens_to_add(False)) + 1

    def fewest_tokens(self, text: str) -> int:
        """The fewest tokens that the text can have, without tokenizing it; 0 where the tokenizer may drop text."""
        return math.ceil(len(text.encode()) / self._widest) if self._widest else 0

    @cached_property
    def _widest(self) -> int:
        """The most bytes of a text that one token stands for; 0 where that has no bound."""
        return widest_token(json.loads(self.tokenizer.to_str()))

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        return self.encode_all([text], special=special)[0]

    def encode_all(self, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
        """`encode` of each."""
        if not texts:
            return []  # and no tokenizer loaded
        # the library's call for one text lets no other thread look at the clock
        call = partial(self.tokenizer.encode_batch_fast, list(texts), add_special_tokens=special)
        with contained():
            return [list(one.ids) for one in self._patience.within(call, sum(map(len, texts)))]

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The tokens as text, with special tokens or without. Raises ChatError."""
        with contained():
            return str(self.tokenizer.decode(list(ids), skip_special_tokens=not special))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as text, for people. Raises ChatError."""
        return [self.decode([id], special=True) for id in ids]

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        return self.encode(token)[-1] if found is None else int(found)

    def _render(self, messages: Sequence[Message], **options: Any) -> str:
        (found,) = self._rendered([messages], **options)
        if isinstance(found, ChatError):
            raise found
        return found

    def _rendered(self, conversations: Sequence[Sequence[Message]], **options: Any) -> list[str | ChatError]:
        """Each conversation filled into the template; a system message that the template refuses is put into the first
        user's."""
        assert self.template is not None
        found = self.template.render_each([self._fields(messages, options) for messages in conversations])
        again = [
            place
            for place, (text, messages) in enumerate(zip(found, conversations, strict=True))
            if type(text) is TemplateError and messages[0].role == "system" and len(messages) > 1
        ]
        merged = [_system_into_user(conversations[place]) for place in again]
        for place, text in zip(
            again, self.template.render_each([self._fields(m, options) for m in merged]), strict=True
        ):
            found[place] = text
        if options["add_generation_prompt"] and "" in found:
            found = [text or TemplateError("nothing is left of it") for text in found]
        return [text if isinstance(text, str) else _refusal(text) for text in found]

    def _fields(self, messages: Sequence[Message], options: Mapping[str, Any]) -> dict[str, Any]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return {"messages": turns, "tools": None, "documents": None, **self.special, **options}


def _refusal(error: TemplateError) -> ChatError:
    refused = "is refused" if isinstance(error, TemplateLimitError) else "refuses the conversation"
    hint = MEND if isinstance(error, TemplateLimitError) else f"write the prompt as it takes it, or {MEND}"
    found = ChatError(f"the model's chat template {refused}: {error}", hint)
    found.__cause__ = error
    return found


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    named = {name: config.get(name) for name in SPECIAL}
    texts = {name: value["content"] if isinstance(value, dict) else value for name, value in named.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _compile(source: str, known: Known | None) -> SandboxedChat:
    try:
        return SandboxedChat(source, known=known)
    except TemplateLimitError as error:
        raise ChatError(f"the model's chat template is refused: {error}") from error
    except TemplateError as error:
        raise ChatError(f"the model's chat template is not a template: {error}") from error


def _end_of_turn(chat: Chat) -> str:
    asked = (Message("user", "question"), Message("assistant", ANSWER))
    _, found, rest = chat._render(asked, add_generation_prompt=False).rpartition(ANSWER)
    return rest.strip() if found and rest.strip() else chat.special["eos_token"]


def _system_into_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    system, first, *rest = messages
    return (Message("user", f"{system.content}\n\n{first.content}"), *rest)


def _plain(messages: Sequence[Message]) -> str:
    """Without a template: turns apart by a blank line, an answer on the line after its question."""
    parts = [message.content + ("\n" if message.role == "user" else PLAIN_END) for message in messages]
    return "".join(parts)


def _covered(offsets: Sequence[tuple[int, int]], start: int, stop: int) -> tuple[int, int]:
    """The tokens, by their places in the text, that hold any character of it from `start` up to `stop`."""
    inside = [index for index, (first, last) in enumerate(offsets) if first < last and first < stop and last > start]
    return inside[0], inside[-1] + 1
