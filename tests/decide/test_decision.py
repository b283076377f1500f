"""The choice among candidates: by validation rows, claimed on test rows, with its reasons."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from measures import ACCURACY

from customspec.decide.decision import Decision, Question, Standing, decide
from customspec.decide.samples import Measure, Sample
from customspec.spec import Goal

GOAL = Goal(metric="accuracy", at_least=0.8)
OPTIMISTIC = "there are no validation rows: the test rows choose as well, so their estimates are optimistic"
UNSET: Any = object()
N = 1000


def rows(value: float | None) -> Sample | None:
    """A thousand rows, so many of them right: of two candidates, the better is right wherever the other is."""
    return None if value is None else Sample.of_rows([float(row < round(value * N)) for row in range(N)])


def prompted(
    id: str, validation: float | None, *, test: float | None = UNSET, tokens: float = 10, **more: Any
) -> Standing:
    return standing(id, "prompting", validation, test, prompt_tokens=tokens, **more)


def tuned(
    id: str, validation: float | None, *, test: float | None = UNSET, size: int = 100, seconds: float = 1, **more: Any
) -> Standing:
    return standing(id, "tuning", validation, test, artifact_bytes=size, train_seconds=seconds, **more)


def standing(id: str, family: str, validation: float | None, test: float | None, **more: Any) -> Standing:
    tested = rows(validation if test is UNSET else test)
    defaults: dict[str, Any] = {"prompt_tokens": 5.0, "artifact_bytes": 0, "train_seconds": 0.0}
    return Standing(f"{id}@0", id, family, rows(validation), tested, **{**defaults, **more})


def choose(
    standings: Sequence[Standing],
    goal: Goal | None = GOAL,
    strategy: Literal["compare", "ladder"] = "compare",
    *,
    measure: Measure = ACCURACY,
    margin: float = 0.02,
) -> Decision:
    return decide(Question(measure, goal, strategy, 0.95, margin, len(standings)), standings)


# --------------------------------------------------------------------------------------------------------- with a goal


@pytest.mark.parametrize(
    ("cheaper", "dearer"),
    [
        (prompted("few", 0.9, tokens=5000), tuned("lora", 0.9, size=1, seconds=0.1)),
        (prompted("zero", 0.85, tokens=9.5), prompted("few", 0.95, tokens=9.6)),
        (tuned("small", 0.85, size=10, seconds=99), tuned("large", 0.95, size=11, seconds=1)),
        (tuned("quick", 0.85, size=10, seconds=1), tuned("slow", 0.95, size=10, seconds=2)),
        (tuned("long", 0.85, size=10, prompt_tokens=900), tuned("short", 0.95, size=11, prompt_tokens=1)),
    ],
    ids=["prompting-first", "tokens", "bytes", "seconds", "tuning-by-bytes-before-tokens"],
)
def test_compare_picks_the_cheapest_that_reaches_the_goal(cheaper: Standing, dearer: Standing) -> None:
    for order in ([cheaper, dearer], [dearer, cheaper]):
        decision = choose(order)
        assert (decision.goal_met, decision.chosen, decision.chosen_key) == (True, cheaper.id, cheaper.key)
        assert decision.reasons[0].startswith(f"{cheaper.id} is the cheapest candidate whose accuracy reaches")


def test_the_answer_is_one_sentence_with_its_evidence() -> None:
    standings = [tuned("lora", 0.9), prompted("zero", 0.5), prompted("few", 0.7, tokens=90), tuned("full", 1, size=900)]
    decision = choose(standings)
    assert (decision.chosen, decision.ending) == ("lora", "shown")
    assert decision.answer == (
        "lora meets the goal of at least 0.8: accuracy 0.900 on 1000 test rows, at least 0.883 with 95 % confidence"
    )
    assert decision.reasons == (
        "lora is the cheapest candidate whose accuracy reaches at least 0.8 on the validation rows: 0.900",
        "cheaper candidates fall short: zero 0.500, few 0.700",
    )
    assert decision.claim is not None
    assert decision.claim.shown


def test_every_order_of_the_candidates_gives_the_same_choice() -> None:
    standings = [prompted("zero", 0.5), prompted("few", 0.7, tokens=90), tuned("lora", 0.9), tuned("full", 1, size=900)]
    for goal in (GOAL, None, Goal(metric="accuracy", at_least=1.5)):
        assert len({choose(order, goal).chosen for order in itertools.permutations(standings)}) == 1


def test_the_ladder_picks_its_first_rung_that_reaches_even_if_a_later_one_turned_out_cheaper() -> None:
    standings = [prompted("zero", 0.5), tuned("lora", 0.9, size=900), tuned("tiny", 0.9, size=1)]
    decision = choose(standings, strategy="ladder")
    assert decision.chosen == "lora"
    assert decision.reasons[0].startswith("lora is the first rung whose accuracy reaches at least 0.8")
    assert choose(standings).chosen == "tiny"


def test_a_threshold_is_reached_by_meeting_it_exactly_but_that_shows_nothing() -> None:
    decision = choose([prompted("zero", 0.8)])
    assert (decision.goal_met, decision.ending) == (False, "not_shown")
    assert decision.answer.endswith("; no number of rows would show it")
    assert choose([prompted("zero", 0.799)]).ending == "not_reached"


@pytest.mark.parametrize("strategy", ["compare", "ladder"])
def test_when_none_reaches_the_nearest_is_named_and_nothing_is_claimed(strategy: Literal["compare", "ladder"]) -> None:
    decision = choose([prompted("zero", 0.5), tuned("lora", 0.75), prompted("few", 0.7)], strategy=strategy)
    assert (decision.goal_met, decision.chosen, decision.chosen_key) == (False, "lora", "lora@0")
    assert decision.answer == (
        "no candidate reaches accuracy at least 0.8 on the validation rows; the nearest is lora with 0.750"
    )
    assert decision.claim is None


def test_the_choice_is_made_on_validation_rows_whatever_the_test_rows_say() -> None:
    decision = choose([prompted("zero", 0.7, test=0.99), tuned("lora", 0.85, test=0.85)])
    assert (decision.goal_met, decision.chosen) == (True, "lora")


def test_a_goal_that_only_the_test_rows_meet_is_not_met() -> None:
    decision = choose([prompted("zero", 0.79, test=0.95)])
    assert (decision.goal_met, decision.chosen, decision.ending) == (False, "zero", "not_reached")


def test_a_goal_that_the_test_rows_miss_is_not_met_and_the_test_is_not_spent_on_another() -> None:
    decision = choose([prompted("zero", 0.85, test=0.75), tuned("lora", 0.99)])
    assert (decision.goal_met, decision.chosen, decision.ending) == (False, "zero", "not_shown")
    assert decision.answer.endswith("; that itself misses the goal")


def test_an_estimate_above_the_goal_that_shows_too_little_says_how_many_rows_would() -> None:
    decision = choose([prompted("zero", 0.85, test=0.81)])
    assert (decision.goal_met, decision.ending) == (False, "not_shown")
    assert decision.claim is not None
    assert decision.claim.rows_needed is not None
    assert 9000 < decision.claim.rows_needed <= 10_000
    assert decision.answer == (
        "not shown that zero meets the goal of at least 0.8: accuracy 0.810 on 1000 test rows, at least 0.788 with "
        "95 % confidence; if that is its true value, about 10,000 rows would show it four times in five"
    )


def test_without_test_rows_nothing_is_claimed() -> None:
    decision = choose([prompted("zero", 0.9, test=None)])
    assert (decision.goal_met, decision.chosen) == (False, "zero")
    assert decision.answer == "not shown that zero meets the goal: the test rows were not evaluated"


def test_where_test_rows_choose_the_claim_shares_its_level_and_says_so() -> None:
    standings = [prompted("zero", None, test=0.5), tuned("lora", None, test=0.9)]
    decision = choose(standings)
    assert decision.chosen == "lora"
    assert decision.claim is not None
    assert decision.claim.confidence == pytest.approx(0.975)
    assert "97.5 % confidence" in decision.answer
    assert decision.reasons[-1] == f"{OPTIMISTIC}, and the claim's confidence is shared among 2 candidates"
    alone = choose(standings[1:])
    assert alone.claim is not None
    assert alone.claim.confidence == 0.95  # one candidate: nothing was chosen
    assert not any(OPTIMISTIC in reason for reason in alone.reasons)


def test_a_goal_of_at_most_is_reached_from_above() -> None:
    errors = Measure("errors", 0.0, 1.0, higher_is_better=False, proportion=True)
    goal = Goal(metric="errors", at_most=0.3)
    standings = [prompted("zero", 0.9), prompted("few", 0.25, tokens=90), tuned("lora", 0.1)]
    decision = choose(standings, goal, measure=errors)
    assert (decision.goal_met, decision.chosen) == (True, "few")
    assert "reaches at most 0.3" in decision.reasons[0]
    assert "at most 0.274 with 95 % confidence" in decision.answer
    assert choose(standings, Goal(metric="errors", at_most=0.05), measure=errors).chosen == "lora"


# ------------------------------------------------------------------------------------------------------ without a goal


def test_the_cheapest_that_is_shown_to_be_nearly_the_best_is_chosen() -> None:
    standings = [prompted("zero", 0.5), tuned("lora", 0.899), tuned("full", 0.9, size=900)]
    decision = choose(standings, None)
    assert (decision.goal_met, decision.chosen, decision.ending) == (None, "lora", "within_margin")
    assert decision.answer == (
        "lora is the cheapest candidate shown to lose less than 0.02 to the best: accuracy 0.899 on the validation rows"
    )
    assert decision.reasons == (
        "it loses at most 0.006 with 95 % confidence",
        "full has the best estimate, accuracy 0.900 on the validation rows",
    )
    assert decision.loss is not None
    assert decision.loss.shown


def test_of_equally_good_ones_the_cheaper_is_chosen() -> None:
    standings = [tuned("full", 0.9, size=900), tuned("lora", 0.9, size=10), prompted("few", 0.9, tokens=99)]
    for goal in (None, Goal(metric="accuracy", at_least=0.99)):
        for order in itertools.permutations(standings):
            assert choose(order, goal).chosen == "few"
            assert choose([one for one in order if one.id != "few"], goal).chosen == "lora"


def test_where_the_rows_cannot_tell_the_answer_is_undecided_and_says_how_many_could() -> None:
    apart = Sample.of_rows([float(row % 10 > 0) for row in range(100)])
    other = Sample.of_rows([float(row % 9 > 0) for row in range(100)])
    cheap = Standing("a@0", "a", "prompting", apart, None, 1.0, 0, 0.0)
    dear = Standing("b@0", "b", "prompting", other, None, 2.0, 0, 0.0)
    undecided = choose([cheap, dear], None)
    assert (undecided.goal_met, undecided.ending, undecided.chosen) == (None, "undecided", "a")
    assert undecided.loss is not None
    assert undecided.loss.rows_needed is not None
    assert undecided.loss.rows_needed > 100
    assert undecided.answer.startswith("undecided: about ")
    assert undecided.answer.endswith(
        "validation rows needed, there are 100; a has the best estimate, accuracy 0.900 on the validation rows"
    )


def test_a_wider_margin_lets_a_cheaper_candidate_in() -> None:
    standings = [prompted("zero", 0.85), tuned("lora", 0.9)]
    assert choose(standings, None).chosen == "lora"
    assert choose(standings, None, margin=0.1).chosen == "zero"


def test_one_candidate_alone_is_measured_and_no_more() -> None:
    decision = choose([prompted("zero", 0.5)], None)
    assert (decision.goal_met, decision.chosen, decision.ending) == (None, "zero", "only_one")
    assert decision.answer == "zero is the only candidate: accuracy 0.500 on the validation rows"


def test_without_a_goal_or_validation_rows_the_caution_speaks_of_no_claim() -> None:
    decision = choose([prompted("zero", None, test=0.5), tuned("lora", None, test=0.9)], None)
    assert decision.reasons[-1] == OPTIMISTIC
    assert decision.chosen_on == "test"


# ------------------------------------------------------------------------------------------------------- what is there


def test_a_candidate_without_validation_is_not_weighed_against_those_with_it() -> None:
    decision = choose([prompted("zero", None, test=0.99), tuned("lora", 0.9)])
    assert decision.chosen == "lora"


@pytest.mark.parametrize(("goal", "met"), [(GOAL, False), (None, None)])
def test_nothing_evaluated_is_no_choice(goal: Goal | None, met: bool | None) -> None:
    decision = choose([], goal)
    assert (decision.goal_met, decision.chosen, decision.ending) == (met, None, "nothing")
    assert decision.answer == "no candidate was evaluated"
    assert choose([prompted("zero", None, test=None)], goal).ending == "nothing"


def test_the_decision_is_plain_json() -> None:
    text = json.dumps(choose([prompted("zero", 0.9)]).to_json(), allow_nan=False)
    assert json.loads(text)["claim"]["shown"] is True


@pytest.mark.parametrize("family", ["prompting", "tuning"])
def test_a_larger_base_is_dearer(family: str) -> None:
    """As many tokens, or a smaller artifact, of a model four times the size."""
    small = standing("small", family, None, None, prompt_tokens=24.0, artifact_bytes=100, base_parameters=1_000)
    large = standing("large", family, None, None, prompt_tokens=24.0, artifact_bytes=50, base_parameters=4_000)
    assert small.cost < large.cost


def test_what_was_not_evaluated_is_no_part_of_the_answer() -> None:
    """Two of four: the budget ruled one out beforehand, and stopped another."""

    def asked(standings: Sequence[Standing], goal: Goal | None) -> str:
        return decide(Question(ACCURACY, goal, "compare", 0.95, 0.02, 3, skipped=1), standings).answer

    zero, few = prompted("zero", 0.5), prompted("few", 0.6, tokens=99)
    assert asked([zero, few], GOAL).startswith("no candidate that was evaluated, 2 of 4, reaches accuracy at least 0.8")
    assert asked([zero], None).startswith("zero is the only candidate that was evaluated, 1 of 4: accuracy 0.500")
