"""What a model's own chat template leaves out of a prompt: nothing fails then, and the model never sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from customspec.compiler.entries import shots_of
from customspec.compiler.models import ResolvedModel
from customspec.inputs.chat_errors import ChatError
from customspec.inputs.tokens import Chat
from customspec.prompts import Message, Role

if TYPE_CHECKING:
    from customspec.compiler.candidates import Ready

ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant", "user")
PROBE: Final = tuple(Message(role, f"<<<{role} {place}>>>") for place, role in enumerate(ROLES))


def unread_notes(ready: Sequence[Ready]) -> tuple[str, ...]:
    """A note for each model and role whose texts candidates' prompts have, and the model's template does not show."""
    used: dict[str, tuple[Chat, set[str]]] = {}
    for one in ready:
        if isinstance(one.model, ResolvedModel):
            _, roles = used.setdefault(one.model.known.files.label, (one.model.chat, set()))
            roles |= set(_roles(one))
    return tuple(
        f"the chat template of {label} leaves out what `{role}` says: the model never sees it"
        for label, (chat, roles) in used.items()
        for role in sorted(_unread(chat) & roles)
    )


def _roles(one: Ready) -> Iterable[str]:
    prompt = one.rendered.prompt
    if prompt.messages is not None:
        return ROLES
    shown = shots_of(one.draft) > 0
    return ("user", *(("system",) if prompt.system is not None else ()), *(("assistant",) if shown else ()))


def _unread(chat: Chat) -> set[str]:
    """The roles whose texts are not in the prompt as they were given."""
    try:
        text = chat.prompt_text(PROBE)
    except ChatError:  # it refuses such a conversation; those that are asked are looked at themselves
        return set()
    return {turn.role for turn in PROBE if turn.content not in text}
