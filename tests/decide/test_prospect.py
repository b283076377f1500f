"""What `plan` says of a goal before anything runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from measures import ACCURACY

from customspec.decide.claim import PlannedClaim
from customspec.decide.prospect import prospect, sentences
from customspec.decide.samples import Measure
from customspec.registry import discover
from customspec.spec import Goal
from customspec.store import Store


def lines(goal: Goal, rows: int, measure: Measure = ACCURACY, counted: str = "rows") -> list[str]:
    claim = PlannedClaim(measure, goal, 0.95, rows, counted)
    return sentences(prospect(claim), claim)


def test_a_goal_that_can_be_shown() -> None:
    assert lines(Goal(metric="accuracy", at_least=0.8), 160) == [
        "to show accuracy at least 0.8 with 95 % confidence takes 14 test rows, every one right; there are 160",
        "if the true accuracy is 0.9, 94 show it four times in five (80 % power); 160 do if it is 0.875",
    ]


def test_what_a_metric_of_whole_sets_takes_is_not_promised() -> None:
    macro_f1 = Measure.of(discover().metric("macro_f1"), "macro_f1")
    assert lines(Goal(metric="macro_f1", at_least=0.8), 160, macro_f1)[2:] == [
        "that is counted for a mean over rows, which macro_f1 is not: where some classes have few rows, it can take "
        "several times as many"
    ]
    token_f1 = Measure.of(discover().metric("token_f1"), "token_f1")
    assert len(lines(Goal(metric="token_f1", at_least=0.8), 160, token_f1)) == 2


def test_a_goal_that_cannot_be_shown() -> None:
    assert lines(Goal(metric="accuracy", at_least=0.99), 20, counted="groups") == [
        "to show accuracy at least 0.99 with 95 % confidence takes 299 test groups, every one right; there are 20: "
        "the goal cannot be shown",
        "if the true accuracy is 0.995, 2185 show it four times in five (80 % power)",
    ]


def test_the_best_possible_value_is_never_shown_and_the_worst_always() -> None:
    assert lines(Goal(metric="accuracy", at_least=1.0), 20) == [
        "the goal, accuracy at least 1, is the best possible value: no number of test rows can show it"
    ]
    assert len(lines(Goal(metric="accuracy", at_least=0.0), 20)) == 1


def test_a_goal_of_at_most_is_counted_from_the_other_end() -> None:
    errors = Measure("errors", 0.0, 1.0, higher_is_better=False, proportion=True)
    found = prospect(PlannedClaim(errors, Goal(metric="errors", at_most=0.2), 0.95, 160))
    mirrored = prospect(PlannedClaim(ACCURACY, Goal(metric="accuracy", at_least=0.8), 0.95, 160))
    assert found is not None
    assert mirrored is not None
    assert (found.fewest, found.for_true) == (mirrored.fewest, mirrored.for_true)
    assert found.true == pytest.approx(0.1)
    assert found.shows == pytest.approx(1 - (mirrored.shows or 0))


def test_of_a_metric_without_a_worst_value_nothing_is_known_before() -> None:
    endless = Measure("loss", 0.0, math.inf, higher_is_better=False, proportion=False)
    goal = Goal(metric="loss", at_most=1.0)
    assert prospect(PlannedClaim(endless, goal, 0.95, 20)) is None
    assert "after a run only" in lines(goal, 20, endless)[0]


@pytest.mark.parametrize("rows", [5, 160])
def test_figures_that_are_known_are_not_computed_again(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal, memo = Goal(metric="accuracy", at_least=0.8), Store(tmp_path).memo("prospects")
    claim = PlannedClaim(ACCURACY, goal, 0.95, rows)
    plain = prospect(claim)
    assert prospect(claim, memo=memo) == plain
    monkeypatch.setattr("customspec.decide.prospect.rows_for_power", pytest.fail)
    assert prospect(claim, memo=memo) == plain
    monkeypatch.undo()
    other = PlannedClaim(ACCURACY, goal, 0.9, rows)
    assert prospect(other, memo=memo) == prospect(other) != plain
