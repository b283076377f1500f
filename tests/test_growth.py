"""What candidates have in common is done once: counts that must not grow with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from customspec.inputs import splits
from customspec.inputs.encoding import plainly_fits
from customspec.inputs.tokens import Chat
from customspec.prompts import Message
from customspec.sandbox.client import Worker
from support import Ended, Workspace

Command = Callable[..., Ended]


@pytest.fixture
def counted(workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[int]]:
    """For the techniques of a spec: candidates planned, template requests, texts tokenized, splits read."""
    seen = dict.fromkeys(("asked", "encoded", "read"), 0)

    def counting(owner: Any, name: str, key: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            seen[key] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, call)

    counting(Worker, "ask", "asked")
    counting(Chat, "encode", "encoded")
    counting(splits, "read_rows", "read")

    def count(techniques: str) -> list[int]:
        customspec("plan", workspace.spec(techniques))  # headers are there from now on
        seen.update(dict.fromkeys(seen, 0))
        ended = customspec("plan", workspace.spec(techniques), "--json")
        assert ended.code == 0, ended.err
        return [len(ended.json["candidates"]), *seen.values()]

    return count


def trainings(count: int) -> str:
    rates = (f"{{id: l{n}, lora: {{r: 2, learning_rate: {n + 1}e-5}}}}" for n in range(count))
    return f"techniques: [{', '.join(rates)}]"


@pytest.mark.parametrize(
    "techniques", [trainings, lambda count: f"seeds: {list(range(count))}\ntechniques: [zero_shot]"]
)
def test_more_trainings_or_seeds_of_one_prompt_ask_for_no_more_texts(
    counted: Callable[[str], list[int]], techniques: Callable[[int], str]
) -> None:
    few, *done = counted(techniques(2))
    many, *more = counted(techniques(12))
    assert (few, many) == (2, 12)
    assert more == done
    assert done[2] == 3  # train, validation, test


def test_a_candidate_with_its_own_prompt_is_rendered_by_it(workspace: Workspace, customspec: Command) -> None:
    own = "{id: longer, zero_shot: {}, prompt: {user: 'Again and again: {{ text }}, {{ text }}'}}"
    plan = customspec("plan", workspace.spec(f"techniques: [zero_shot, {own}]"), "--json").json
    short, longer = (candidate["estimate"]["prompt_tokens"] for candidate in plan["candidates"])
    assert longer > short + 15


def test_only_what_fits_twice_over_is_taken_to_fit_without_the_template(tiny_folder: Path) -> None:
    chat = Chat.load(tiny_folder)
    for size in (1, 40, 90, 200):
        conversation = (Message("system", "s" * size), Message("user", "ü" * size))
        whole = len(chat.prompt_ids(conversation))
        assert plainly_fits(conversation, 2 * (3 * size + 128))
        assert not plainly_fits(conversation, 2 * (3 * size + 128) - 1)
        assert whole <= 3 * size + 128
