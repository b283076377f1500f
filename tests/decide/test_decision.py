"""The choice among candidates: by validation rows, claimed on test rows, with its reasons."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from customspec.decide.decision import Decision, Standing, decide

GOAL = {"metric": "accuracy", "at_least": 0.8}
OPTIMISTIC = "there are no validation rows: choosing on test rows is optimistic"
UNSET: Any = object()


def prompted(
    id: str, validation: float | None, *, test: float | None = UNSET, tokens: float = 10, **more: Any
) -> Standing:
    return standing(id, "prompting", validation, test, prompt_tokens=tokens, **more)


def tuned(
    id: str, validation: float | None, *, test: float | None = UNSET, size: int = 100, seconds: float = 1, **more: Any
) -> Standing:
    return standing(id, "tuning", validation, test, artifact_bytes=size, train_seconds=seconds, **more)


def standing(id: str, family: str, validation: float | None, test: float | None, **more: Any) -> Standing:
    test = validation if test is UNSET else test
    interval = None if test is None else (test - 0.05, test + 0.05)
    defaults: dict[str, Any] = {"prompt_tokens": 5.0, "artifact_bytes": 0, "train_seconds": 0.0}
    return Standing(f"{id}@0", id, family, validation, test, interval, **{**defaults, **more})


def choose(
    standings: Sequence[Standing], goal: dict[str, Any] | None = GOAL, strategy: str = "compare", *, higher: bool = True
) -> Decision:
    return decide(goal, "accuracy", standings, strategy, higher)


@pytest.mark.parametrize(
    ("cheaper", "dearer"),
    [
        (prompted("few", 0.9, tokens=5000), tuned("lora", 0.9, size=1, seconds=0.1)),
        (prompted("zero", 0.8, tokens=9.5), prompted("few", 0.95, tokens=9.6)),
        (tuned("small", 0.8, size=10, seconds=99), tuned("large", 0.95, size=11, seconds=1)),
        (tuned("quick", 0.8, size=10, seconds=1), tuned("slow", 0.95, size=10, seconds=2)),
        (tuned("long", 0.8, size=10, prompt_tokens=900), tuned("short", 0.95, size=11, prompt_tokens=1)),
    ],
    ids=["prompting-first", "tokens", "bytes", "seconds", "tuning-by-bytes-before-tokens"],
)
def test_compare_picks_the_cheapest_that_reaches_the_goal(cheaper: Standing, dearer: Standing) -> None:
    for order in ([cheaper, dearer], [dearer, cheaper]):
        decision = choose(order)
        assert (decision.goal_met, decision.chosen, decision.chosen_key) == (True, cheaper.id, cheaper.key)
        assert decision.reasons[0].startswith(f"{cheaper.id} is the cheapest candidate whose accuracy reaches")


def test_cheaper_ones_that_fall_short_are_told() -> None:
    standings = [tuned("lora", 0.9), prompted("zero", 0.5), prompted("few", 0.7, tokens=90), tuned("full", 1, size=900)]
    decision = choose(standings)
    assert decision.chosen == "lora"
    assert decision.reasons == (
        "lora is the cheapest candidate whose accuracy reaches at least 0.8 on the validation rows: 0.900",
        "cheaper candidates fall short: zero 0.500, few 0.700",
        "on the test rows it has 0.900, 95 % interval 0.850 to 0.950: the goal is met",
    )


def test_every_order_of_the_candidates_gives_the_same_choice() -> None:
    standings = [prompted("zero", 0.5), prompted("few", 0.7, tokens=90), tuned("lora", 0.9), tuned("full", 1, size=900)]
    for goal in (GOAL, None, {"metric": "accuracy", "at_least": 1.5}):
        assert len({choose(order, goal).chosen for order in itertools.permutations(standings)}) == 1


def test_the_ladder_picks_its_first_rung_that_reaches_even_if_a_later_one_turned_out_cheaper() -> None:
    standings = [prompted("zero", 0.5), tuned("lora", 0.9, size=900), tuned("tiny", 0.9, size=1)]
    decision = choose(standings, strategy="ladder")
    assert decision.chosen == "lora"
    assert decision.reasons[0].startswith("lora is the first rung whose accuracy reaches at least 0.8")
    assert choose(standings).chosen == "tiny"


def test_a_threshold_is_reached_by_meeting_it_exactly() -> None:
    assert choose([prompted("zero", 0.8)]).goal_met is True
    assert choose([prompted("zero", 0.7999)]).goal_met is False


@pytest.mark.parametrize("strategy", ["compare", "ladder"])
def test_when_none_reaches_the_nearest_is_named(strategy: str) -> None:
    decision = choose([prompted("zero", 0.5), tuned("lora", 0.75), prompted("few", 0.7)], strategy=strategy)
    assert (decision.goal_met, decision.chosen, decision.chosen_key) == (False, "lora", "lora@0")
    assert decision.reasons == (
        "no candidate reaches accuracy at least 0.8 on the validation rows; the nearest is lora with 0.750",
    )


def test_without_a_goal_the_best_is_chosen_and_nothing_is_claimed() -> None:
    decision = choose([prompted("zero", 0.5), tuned("lora", 0.9), tuned("full", 0.85)], goal=None)
    assert (decision.goal_met, decision.chosen) == (None, "lora")
    assert decision.reasons == ("lora has the best accuracy on the validation rows: 0.900 (there is no goal)",)


@pytest.mark.parametrize("goal", [None, {"metric": "accuracy", "at_least": 0.99}])
def test_of_equally_good_ones_the_cheaper_is_chosen(goal: dict[str, Any] | None) -> None:
    standings = [tuned("full", 0.9, size=900), tuned("lora", 0.9, size=10), prompted("few", 0.9, tokens=99)]
    for order in itertools.permutations(standings):
        assert choose(order, goal).chosen == "few"
        assert choose([one for one in order if one.id != "few"], goal).chosen == "lora"


def test_the_choice_is_made_on_validation_rows_whatever_the_test_rows_say() -> None:
    decision = choose([prompted("zero", 0.7, test=0.99), tuned("lora", 0.85, test=0.81)])
    assert (decision.goal_met, decision.chosen) == (True, "lora")


def test_a_goal_that_only_the_test_rows_meet_is_not_met() -> None:
    decision = choose([prompted("zero", 0.79, test=0.95)])
    assert (decision.goal_met, decision.chosen) == (False, "zero")
    assert "no candidate reaches" in decision.reasons[0]


def test_a_goal_that_only_the_validation_rows_meet_is_not_met() -> None:
    decision = choose([prompted("zero", 0.85, test=0.75)])
    assert (decision.goal_met, decision.chosen) == (False, "zero")
    assert decision.reasons[-1] == "on the test rows it has 0.750, 95 % interval 0.700 to 0.800: the goal is not met"


def test_without_test_rows_nothing_is_claimed() -> None:
    decision = choose([prompted("zero", 0.9, test=None)])
    assert (decision.goal_met, decision.chosen) == (False, "zero")
    assert decision.reasons[-1] == "the test rows were not evaluated"


@pytest.mark.parametrize("goal", [GOAL, None, {"metric": "accuracy", "at_least": 0.99}])
def test_choosing_on_test_rows_is_told_as_optimistic(goal: dict[str, Any] | None) -> None:
    decision = choose([prompted("zero", None, test=0.5), tuned("lora", None, test=0.9)], goal)
    assert decision.chosen == "lora"
    assert decision.reasons[-1] == OPTIMISTIC
    assert "on the test rows" in decision.reasons[0]
    with_validation = choose([prompted("zero", 0.5), tuned("lora", 0.9)], goal)
    assert OPTIMISTIC not in with_validation.reasons


def test_a_goal_of_at_most_is_reached_from_above() -> None:
    goal = {"metric": "loss", "at_most": 0.3}
    standings = [prompted("zero", 0.9), prompted("few", 0.3, tokens=90), tuned("lora", 0.1)]
    decision = decide(goal, "loss", standings, "compare", higher=False)
    assert (decision.goal_met, decision.chosen) == (True, "few")
    assert "reaches at most 0.3" in decision.reasons[0]


def test_the_nearest_to_a_goal_of_at_most_is_the_lowest() -> None:
    standings = [prompted("zero", 0.9), tuned("lora", 0.1), prompted("few", 0.3)]
    assert decide({"metric": "loss", "at_most": 0.0}, "loss", standings, "compare", higher=False).chosen == "lora"
    assert decide(None, "loss", standings, "compare", higher=False).chosen == "lora"


@pytest.mark.parametrize("standings", [[], [prompted("zero", None, test=None)]])
def test_without_measurements_there_is_no_answer(standings: list[Standing]) -> None:
    reasons = ("no candidate was evaluated",)
    assert choose(standings) == Decision(False, None, None, reasons)
    assert choose(standings, goal=None) == Decision(None, None, None, reasons)


def test_what_was_not_measured_is_never_chosen() -> None:
    assert choose([prompted("zero", None, test=None), tuned("lora", 0.9)]).chosen == "lora"
    assert choose([prompted("zero", None, test=None), tuned("lora", 0.1)]).chosen == "lora"


def test_a_decision_is_written_as_the_results_document_has_it() -> None:
    assert choose([prompted("zero", 0.5)], goal=None).to_json() == {
        "goal_met": None,
        "chosen": "zero",
        "chosen_key": "zero@0",
        "reasons": ["zero has the best accuracy on the validation rows: 0.500 (there is no goal)"],
    }
