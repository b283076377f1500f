"""However many templates a spec or a model brings that compute for ever: together they cost little more than one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from customspec.inputs.remembered import Remembered
from customspec.sandbox.client import Worker, WorkerDiedError
from customspec.sandbox.templates import CPU, Sandboxed, SandboxedChat, TemplateLimitError, TogetherLimitError
from support import Ended

ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{{ text }}"


@dataclass
class Counting:
    """A worker that computes nothing: what it is asked for takes no time, or, named `slow`, all that is allowed."""

    asked: list[str] = field(default_factory=list)
    reason: str = "time"

    def ask(
        self, kind: str, source: str, rows: Sequence[Mapping[str, Any]], cpu: float, *, each: bool = False
    ) -> dict[str, Any]:
        self.asked.append(source)
        if "slow" in source and (rows or "compiling" in source):
            raise WorkerDiedError(self.reason, cpu)
        return {"texts": ["x"] * len(rows), "variables": ["text"], "printed": [], "cpu": 0.0, "asked": 0}


def counting(reason: str = "time") -> tuple[Counting, Worker]:
    runner = Counting(reason=reason)
    return runner, cast(Worker, runner)


def test_of_many_that_take_for_ever_few_are_tried() -> None:
    (runner, worker), known = counting(), Remembered()
    for number in range(2):
        with pytest.raises(TemplateLimitError, match=f"more than {CPU:g} s of computing"):
            Sandboxed(f"compiling slow {number}", worker, known=known)
    for number in range(2, 200):
        with pytest.raises(TogetherLimitError, match="together"):
            Sandboxed(f"compiling slow {number}", worker, known=known)
    assert len(runner.asked) == 2
    assert Sandboxed("another spec's", worker, known=Remembered()).variables == {"text"}


def test_what_was_refused_is_not_tried_again() -> None:
    (runner, worker), known = counting(), Remembered()
    for _ in range(3):
        with pytest.raises(TemplateLimitError, match=f"more than {CPU:g} s of computing"):
            Sandboxed("compiling slow", worker, known=known)
    assert len(runner.asked) == 1


def test_templates_that_take_a_little_are_all_filled() -> None:
    (runner, worker), known = counting(), Remembered()
    texts = [Sandboxed(f"{number}", worker, known=known).render({"text": "a"}) for number in range(300)]
    assert texts == ["x"] * 300
    assert len(runner.asked) == 600


@pytest.mark.parametrize("reason", ["time", "memory"])
def test_rows_that_a_chat_template_cannot_fill_are_tried_for_as_long_as_one(reason: str) -> None:
    runner, worker = counting(reason)
    chat = SandboxedChat("slow", worker)
    found = chat.render_each([{"text": str(number)} for number in range(1000)])
    assert all(isinstance(one, TemplateLimitError) for one in found)
    assert len(runner.asked) < 10


def test_a_spec_full_of_them_is_told_of_the_first(validate: Callable[..., Ended]) -> None:
    prompts = (json.dumps(f"{ENDLESS} {number}") for number in range(30))
    entries = (f"  - {{id: z{at}, zero_shot: {{}}, prompt: {{user: {prompt}}}}}" for at, prompt in enumerate(prompts))
    ended = validate("techniques:", *entries)
    assert ended.code == 2
    told = [line for line in ended.err.splitlines() if "CS313" in line]
    assert [line.split(":")[1] for line in told] == ["11", "12", "13"]
    assert "the templates of this spec take more than 1 s of computing together" in told[-1]
