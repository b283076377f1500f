"""How many tokens may be generated where the spec does not say: by the longest answer, and what the context leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from customspec.compiler.counting import answers, longest_answer, prompt_lengths
from customspec.compiler.entries import Draft, blaming_plugin, prompting_of
from customspec.compiler.lengths import LengthBudget, bare, unsure
from customspec.compiler.models import ResolvedModel
from customspec.compiler.prompting import Rendered
from customspec.hookspecs import Decodes, Reads, Writes
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.models import Unresolved
from customspec.inputs.tokens import Chat
from customspec.prompts import Example
from customspec.spec import Generation, Spec

if TYPE_CHECKING:
    from customspec.compiler.candidates import Ready

DEFAULT = 256  # where no answer's length is known
LOOKED_AT = 1 << 22  # characters of answers that are too long, among which one that fits is looked for


def generation_of(spec: Spec, draft: Draft, rendered: Rendered) -> Generation | None:
    """The spec's generation settings; None where choices are scored."""
    chosen = prompting_of(draft)
    reads = chosen is not None and isinstance(chosen[0], Reads)
    return None if rendered.prompt.choices is not None and not reads else spec.generation


def with_new_tokens(ready: tuple[Ready, ...], *, refuses: bool) -> tuple[Ready, ...]:
    """The seeds of one candidate, with a maximum where the spec sets none. `refuses`: under `on_long: error`."""
    first = ready[0]
    generation, model = first.generation, first.model
    if generation is None or generation.max_new_tokens is not None or isinstance(model, Unresolved):
        return ready
    derived = generation.model_copy(update={"max_new_tokens": _new_tokens(first, model, refuses=refuses)})
    return tuple(replace(one, generation=derived) for one in ready)


def _new_tokens(ready: Ready, model: ResolvedModel, *, refuses: bool) -> int:
    known = ready.rendered.examples.get("train") or ready.rendered.examples.get("validation") or ()
    texts = [example.answer for example in known]
    chosen, named = prompting_of(ready.draft), ready.draft.prompting
    if chosen is not None and named is not None:
        technique, options = chosen
        with blaming_plugin(named):
            sampling = technique.decoding(options) if isinstance(technique, Decodes) else None
            if sampling is not None and sampling.max_new_tokens is not None:
                return sampling.max_new_tokens
            if isinstance(technique, Writes):
                texts = [technique.written(options, example) for example in known]
    longest = longest_answer(texts, model.chat)
    if not longest:
        return DEFAULT
    with ready.contained():
        return _Room(ready, model.beside(ready.taken)).most(longest, texts, refuses=refuses)


@dataclass(frozen=True, slots=True)
class _Room:
    """What the context leaves beside the prompts of the rows that are to be answered."""

    ready: Ready
    model: ResolvedModel

    @property
    def asked(self) -> Sequence[Example]:
        examples = self.ready.rendered.examples
        return (*examples.get("validation", ()), *examples.get("test", ()))

    @property
    def context(self) -> int:
        return self.model.known.header.context_length

    def most(self, longest: int, texts: Iterable[str], *, refuses: bool) -> int:
        """A quarter more than the longest answer, so that the limit cuts runaways and not answers; less where that
        would make a prompt too long that has room for the longest answer."""
        if not refuses and (room := self.context - self._shortest_prompt()) < longest:
            # such a row is dropped itself, and no measure for those that stay
            longest = _longest_within(texts, self.model.chat, room) or longest
        wanted = longest + longest // 4 + 1
        prompts = self._prompts_in_doubt(wanted)
        fitting = [tokens for tokens in prompts if tokens + longest <= self.context]
        return min([wanted, *(self.context - tokens for tokens in fitting)])

    def _shortest_prompt(self) -> int:
        """Tokens of a prompt that is cut as far as it can be."""
        try:
            asked = [self.ready.asking.conversation(bare(row), ()) for row in self.asked[:1]]
            return min(prompt_lengths(asked, self.model.chat), default=0)
        except ChatError:
            return 0  # told where lengths are checked, or by the run

    def _prompts_in_doubt(self, wanted: int) -> list[int]:
        """Tokens of the prompts that may leave less than is wanted."""
        asking, found = self.ready.asking, list[int]()
        for some in LengthBudget().some(unsure(self.asked, asking, self.model, wanted)):
            try:
                found += prompt_lengths([asking.conversation(row, asking.select(row)) for row in some], self.model.chat)
            except ChatError:
                return []
        return found


def _longest_within(texts: Iterable[str], chat: Chat, room: int) -> int | None:
    """Tokens of the first answer that fits, from the longest on; None where there is none."""
    left = LOOKED_AT
    for text in sorted(set(texts), key=lambda one: len(one.encode()), reverse=True):
        (tokens,) = answers([text], chat)
        if tokens <= room:
            return tokens
        left -= len(text)
        if left < 0:
            return None
    return None
