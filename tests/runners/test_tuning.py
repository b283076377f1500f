"""Which validation rows a training's states are compared on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from customspec.estimate import COMPARED
from customspec.inputs.encoding import Encoded
from customspec.ml import scoring
from customspec.prompts import Example
from customspec.runners.tuning import compared
from support import Ended, Workspace, colours

Command = Callable[..., Ended]
NOTE = f"note: states of a training are compared on {COMPARED} of the 300 validation rows, drawn by the seed"


def rows(**answers: int) -> list[Encoded]:
    named = [name for name, count in answers.items() for _ in range(count)]
    return [Encoded(Example(str(n), None, "?", name), (1,), (2,)) for n, name in enumerate(named)]


def test_each_answer_keeps_its_share() -> None:
    drawn = compared(rows(a=600, b=300, c=100), 100, 0, stratified=True)
    assert Counter(row.example.answer for row in drawn) == {"a": 60, "b": 30, "c": 10}
    assert [row.example.id for row in drawn] == sorted((row.example.id for row in drawn), key=int)


def test_the_seed_draws_and_few_rows_are_taken_as_they_are() -> None:
    given = rows(a=30, b=30)
    assert compared(given, 60, 0, stratified=True) is given
    assert compared(given, 10, 0, stratified=True) == compared(given, 10, 0, stratified=True)
    assert compared(given, 10, 0, stratified=True) != compared(given, 10, 1, stratified=True)
    assert len(compared(given, 7, 0, stratified=False)) == 7


def test_states_are_compared_on_some_rows_and_the_split_is_measured_on_all(
    workspace: Workspace, customspec: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []
    score = scoring.score_choices

    def counting(model: Any, prompts: Any, *args: Any, **options: Any) -> Any:
        scored.append(len(prompts))
        return score(model, prompts, *args, **options)

    monkeypatch.setattr(scoring, "score_choices", counting)
    workspace.rows("validation.jsonl", colours(300))
    spec = workspace.spec("techniques: [{lora: {r: 2, max_steps: 2, eval_steps: 1}}]")
    assert NOTE in customspec("plan", spec).out
    ended = customspec("run", spec, "--json")
    assert ended.code == 0, ended.err
    assert [count for count in scored if count > 1] == [COMPARED, COMPARED, 300, 12]
    (candidate,) = ended.json["candidates"]
    assert candidate["metrics"]["validation"]["accuracy"]["n"] == 300


def test_the_only_state_of_a_training_is_kept_without_a_comparison(workspace: Workspace, customspec: Command) -> None:
    spec = workspace.spec("techniques: [{lora: {r: 2, max_steps: 3, eval_steps: 3}}]")
    ended = customspec("run", spec, "--json")
    assert ended.code == 0, ended.err
    (candidate,) = ended.json["candidates"]
    assert candidate["training"]["evaluations"] == []


def test_nothing_is_said_where_all_rows_are_compared_or_nothing_trains(
    workspace: Workspace, customspec: Command
) -> None:
    assert "compared on" not in customspec("plan", workspace.spec("techniques: [{lora: {r: 2}}]")).out
    workspace.rows("validation.jsonl", colours(300))
    assert "compared on" not in customspec("plan", workspace.spec("techniques: [zero_shot]")).out
