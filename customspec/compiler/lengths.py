"""Whether every prompt fits the model's context: of each candidate once, under `on_long: error`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from customspec.compiler.counting import longest_answer
from customspec.compiler.entries import Draft, blaming, prompting_of, tuning_of
from customspec.compiler.findings import Findings
from customspec.compiler.judging import own_texts
from customspec.compiler.models import LookedModel, check_lengths
from customspec.errors import Code
from customspec.hookspecs import Judging
from customspec.inputs.splits import SPLITS, Splits
from customspec.inputs.tokens import Chat
from customspec.source import KeyPath

if TYPE_CHECKING:
    from customspec.compiler.candidates import Ready


def reserve_for(ready: Ready, chat: Chat) -> int | None:
    """Tokens that scoring or generating keeps free for an answer."""
    if ready.generation is not None:
        return ready.generation.max_new_tokens
    return longest_answer(ready.rendered.choices or (), chat)


def check_lengths_once(ready: Ready, model: LookedModel, rows: Splits, findings: Findings) -> None:
    """Candidates that show the same rows the same demonstrations are checked once, while there is nothing to say."""
    chosen = prompting_of(ready.draft)
    seed = ready.seed if chosen is not None and chosen[0].shots(chosen[1]) else None
    generated = None if ready.generation is None else ready.generation.max_new_tokens
    key = ("lengths", ready.ask, seed, _taught_texts(ready.draft), generated)

    def is_fine() -> bool:
        before = len(findings)
        _check_lengths(ready, model, rows, findings)
        return len(findings) == before

    if not ready.shared.once(key, is_fine):
        _check_lengths(ready, model, rows, findings)


def _taught_texts(draft: Draft) -> tuple[str, ...] | None:
    """What training feeds: nothing, each row's answer, or the texts of a technique's own loss."""
    chosen = tuning_of(draft)
    if chosen is None:
        return None
    technique, options = chosen
    own = isinstance(technique, Judging)
    return (technique.name, str(draft.main.offer), options.model_dump_json()) if own else ("answer",)


def _check_lengths(ready: Ready, model: LookedModel, rows: Splits, findings: Findings) -> None:
    chat, limit = model.chat, model.known.header.context_length
    reserve = reserve_for(ready, chat)
    if reserve is not None and reserve >= limit:
        given = "max_new_tokens" in (findings.document.data.get("generation") or {})
        at = ("generation", "max_new_tokens") if given else ("prompt", "answer")
        findings.add(Code.WRONG_VALUE, at, f"an answer of {reserve} tokens fills the whole context of {limit}")
        return
    place = _what_makes_long(ready)
    for name in SPLITS if ready.draft.tuning else SPLITS[1:]:
        # training feeds a row's own texts; scoring and generating need room for whatever may come
        room = _longest_text(ready, chat) if name == "train" else reserve
        check_lengths(
            ready.rendered.examples[name],
            ready.asking,
            model,
            room,
            rows.named(name),
            place,
            findings,
            ready.shared.looked,
        )


def _longest_text(ready: Ready, chat: Chat) -> int | None:
    tuning = tuning_of(ready.draft)
    with blaming(ready.draft.main):
        texts = tuning and own_texts(*tuning, ready.rendered.examples["train"])
    return None if texts is None else longest_answer(texts, chat)


def _what_makes_long(ready: Ready) -> KeyPath:
    """The demonstrations, where there are any; else the user's template."""
    chosen = prompting_of(ready.draft)
    if chosen is not None and ready.draft.prompting is not None and chosen[0].shots(chosen[1]):
        return (*ready.draft.prompting.at, "shots")
    part = "user" if ready.rendered.prompt.messages is None else "messages"
    own = ready.draft.entry.prompt is not None and getattr(ready.draft.entry.prompt, part) is not None
    return (*ready.draft.at, "prompt", part) if own else ("prompt", part)
