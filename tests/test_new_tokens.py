"""The room for an answer where the spec sets none, and rows that are all too long: told before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support import Ended, Workspace, colours

Command = Callable[..., Ended]
CONTEXT = 512
PROMPT = 'prompt: {user: "{{ text }}", answer: "{{ label }}"}'
WHOLE = 'prompt: {system: "{{ head }}", user: "{{ text }}", answer: "{{ label }}"}'


def planned(
    space: Workspace, customspec: Command, on_long: str, *more: str, prompt: str = PROMPT, techniques: str = "lora"
) -> Ended:
    data = f"data: {{train: a.jsonl, validation: b.jsonl, test: c.jsonl, on_long: {on_long}}}"
    spec = space.spec(f"techniques: [{techniques}]", *more, prompt=prompt)
    lines = [data if line.startswith("data:") else line for line in spec.read_text().splitlines()]
    spec.write_text("\n".join(lines) + "\n")
    return customspec("plan", spec, "--json")


def rows(space: Workspace, *longest: str, **more: Any) -> None:
    """Short rows in three files, and these answers among those of training."""
    for name, start in (("a", 0), ("b", 200), ("c", 500)):
        space.rows(f"{name}.jsonl", [{**row, **more} for row in colours(6, start)])
    trained = [{"text": f"row {place}", "label": label} for place, label in enumerate(longest)]
    space.rows("a.jsonl", [{**row, **more} for row in [*colours(6), *trained]])


def new_tokens(ended: Ended) -> int:
    assert ended.code == 0, ended.err
    found = [step["params"].get("generation") for step in ended.json["steps"]]
    return next(int(one["max_new_tokens"]) for one in found if one)


@pytest.mark.parametrize("on_long", ["error", "truncate", "drop"])
def test_the_quarter_more_leaves_the_prompts_their_room(
    workspace: Workspace, customspec: Command, on_long: str
) -> None:
    """An answer of 450 tokens, and a quarter, is more than the context; with its prompt it fits."""
    rows(workspace, "warm " * 90)
    limit = new_tokens(planned(workspace, customspec, on_long))
    assert 450 <= limit < CONTEXT - 5
    rows(workspace, "warm " * 9)
    assert new_tokens(planned(workspace, customspec, on_long)) == 57  # 45 and their end, a quarter more


@pytest.mark.parametrize("on_long", ["truncate", "drop"])
def test_an_answer_that_cannot_be_trained_on_is_no_measure(
    workspace: Workspace, customspec: Command, on_long: str
) -> None:
    rows(workspace, "warm " * 200, "warm " * 9)
    assert new_tokens(planned(workspace, customspec, on_long)) == 57


def test_a_prompt_beside_which_no_answer_fits_says_how_many_tokens_would(
    workspace: Workspace, customspec: Command
) -> None:
    rows(workspace, "warm " * 90)
    workspace.rows("c.jsonl", [{"text": "blue " * 20, "label": "cold"}])
    ended = planned(workspace, customspec, "error")
    assert ended.code == 2
    assert "CS408 c.jsonl:1 needs " in ended.err
    assert "leave less for the answer: `generation: {max_new_tokens: " in ended.err
    fits = ended.err.split("max_new_tokens: ")[1].split("}")[0]
    assert planned(workspace, customspec, "error", f"generation: {{max_new_tokens: {fits}}}").code == 0
    more = f"generation: {{max_new_tokens: {int(fits) + 1}}}"
    assert planned(workspace, customspec, "error", more).code == 2


@pytest.mark.parametrize(("name", "kind"), [("a", "training"), ("b", "validation"), ("c", "test")])
def test_rows_that_would_all_be_dropped_are_refused(
    workspace: Workspace, customspec: Command, name: str, kind: str
) -> None:
    rows(workspace)
    long = [{"text": f"{kind} {place} " + "blue " * 200, "label": "cold"} for place in range(3)]
    workspace.rows(f"{name}.jsonl", long)
    ended = planned(workspace, customspec, "drop")
    assert ended.code == 2
    assert f"CS408 every {kind} row is too long and would be dropped: {name}.jsonl:1 needs " in ended.err
    assert new_tokens(planned(workspace, customspec, "truncate")) > 0
    workspace.rows(f"{name}.jsonl", [*long, {"text": f"{kind} one", "label": "cold"}])
    assert planned(workspace, customspec, "drop").code == 0  # one is left


def test_prompts_that_cannot_be_cut_enough_are_refused(workspace: Workspace, customspec: Command) -> None:
    """Truncation cuts the query and no system message."""
    rows(workspace, head="red " * 200)
    ended = planned(workspace, customspec, "truncate", prompt=WHOLE, techniques="zero_shot")
    assert ended.code == 2
    assert "row is too long and would be dropped, however short its prompt is cut: b.jsonl:1 needs" in ended.err
    rows(workspace, head="red " * 2)
    assert planned(workspace, customspec, "truncate", prompt=WHOLE, techniques="zero_shot").code == 0
