"""What a technique puts before every prompt takes its places in the model's context."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import Ended, Workspace, colours, make_model, run

Command = Callable[..., Ended]
LEARNED = ("prompt_tuning", "prefix_tuning", "p_tuning")


@pytest.fixture
def absolute(workspace: Workspace) -> Workspace:
    """With a model whose positions are a table of 512: one more is an error of torch's."""
    make_model(workspace.root / "gpt2", "gpt2")
    return workspace


def spec_of(space: Workspace, technique: str, virtual: int, *more: str) -> list[str]:
    options = f"{{num_virtual_tokens: {virtual}, max_steps: 2}}"
    return [f"techniques: [{{{technique}: {options}, base_model: {{path: gpt2}}}}]", *more]


@pytest.mark.parametrize("technique", LEARNED)
def test_more_virtual_tokens_than_the_context_holds_are_refused(
    absolute: Workspace, customspec: Command, technique: str
) -> None:
    ended = customspec("validate", absolute.spec(*spec_of(absolute, technique, 600)))
    assert ended.code == 2
    assert "600 tokens before every prompt fill the whole context of 512" in ended.err
    assert "take fewer than 512 virtual tokens" in ended.err


def test_a_row_that_fits_without_them_alone_is_named(absolute: Workspace, customspec: Command) -> None:
    long = {"text": "long " * 84, "label": "warm"}
    absolute.rows("test.jsonl", [*colours(11, start=40), long])
    assert customspec("validate", absolute.spec(*spec_of(absolute, "prompt_tuning", 1))).code == 0
    ended = customspec("validate", absolute.spec(*spec_of(absolute, "prompt_tuning", 100)))
    assert ended.code == 2
    assert "test.jsonl:12" in ended.err
    assert "take fewer than 100 virtual tokens" in ended.err


@pytest.mark.parametrize("technique", LEARNED)
def test_long_rows_are_cut_beside_them(absolute: Workspace, customspec: Command, technique: str) -> None:
    absolute.rows("test.jsonl", [*colours(11, start=40), {"text": "long " * 84, "label": "warm"}])
    absolute.rows("train.jsonl", [*colours(23), {"text": "much " * 84, "label": "warm"}])
    text = absolute.spec(*spec_of(absolute, technique, 100)).read_text()
    spec = absolute.write("spec.yaml", text.replace("test: test.jsonl}", "test: test.jsonl, on_long: truncate}"))
    [candidate] = run(customspec, spec)["candidates"]
    assert candidate["status"] == "done"
    assert candidate["metrics"]["test"]["accuracy"]["n"] == 12
